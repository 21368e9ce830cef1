"""Slashes, HEAD and media types: what clients and proxies send that means the same."""

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.integration

READ = ["/", "/health/live", "/health/ready", "/metrics", "/v1/model", "/docs", "/openapi.json"]

PNG_TYPES = (
    *("image/png", "image/x-png", "Image/PNG; name=x", "", "application/octet-stream"),
    *("binary/octet-stream", "application/x-octet-stream", "application/binary", "*/*", "image/*"),
    *("application/x-binary", "application/unknown", "application/force-download"),
)
OTHER_TYPES = (
    *("image/jpg", "image/pjpeg", "image/jpeg", "image/x-jpeg", "image/jpe", "image/x-jpg"),
    *("image/tif", "image/tiff", "image/x-tiff", "image/x-tif"),
    *("application/dicom", "application/x-dicom", "image/dicom", "image/x-dicom", "image/dcm"),
)


@pytest.mark.parametrize("path", [*READ[1:], "/v1/segment", "/v1/studies", "/dicom-web/studies"])
def test_a_trailing_slash_changes_nothing(client: TestClient, path: str) -> None:
    plain = client.get(path, follow_redirects=False)
    slashed = client.get(f"{path}/", follow_redirects=False)
    assert slashed.status_code == plain.status_code in (200, 405)
    assert slashed.headers.get("allow") == plain.headers.get("allow")


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_post_needs_no_redirection(client: TestClient, phantom_png: bytes, slash: str) -> None:
    answer = client.post(f"/v1/segment{slash}", content=phantom_png, follow_redirects=False)
    assert answer.status_code == 200
    answer = client.post(
        f"/v1/studies{slash}?gate=false", files={"f": phantom_png}, follow_redirects=False
    )
    assert answer.status_code == 200
    answer = client.post(f"/dicom-web/studies{slash}", content=b"", follow_redirects=False)
    assert answer.json()["code"] == "inbox-not-configured"
    answer = client.post(f"/dicom-web/studies/1.2.3{slash}", content=b"", follow_redirects=False)
    assert answer.json()["code"] == "inbox-not-configured"


@pytest.mark.parametrize("path", ["/v1/segment//", "/v1//segment", "/nowhere/", "/v1/"])
def test_other_slashes_are_other_paths(client: TestClient, path: str) -> None:
    answer = client.request("GET", f"http://testserver{path}", follow_redirects=False)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", READ)
def test_head_has_what_get_has_but_the_content(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("HEAD", "/v1/segment", "POST"),
        ("GET", "/v1/studies", "POST"),
        ("POST", "/v1/model", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_there_are(
    client: TestClient, method: str, path: str, allow: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("media_type", PNG_TYPES)
def test_a_file_is_taken_by_any_name_of_its_type(
    client: TestClient, phantom_png: bytes, media_type: str
) -> None:
    headers = {"Content-Type": media_type}
    assert client.post("/v1/segment", content=phantom_png, headers=headers).status_code == 200
    files = {"f": ("a", phantom_png, media_type)}
    assert client.post("/v1/segment", files=files).status_code == 200


@pytest.mark.parametrize("media_type", OTHER_TYPES)
def test_a_name_of_another_type_does_no_harm(
    client: TestClient, phantom_png: bytes, media_type: str
) -> None:
    headers = {"Content-Type": media_type}
    # The content decides.
    assert client.post("/v1/segment", content=phantom_png, headers=headers).status_code == 200


@pytest.mark.parametrize("media_type", ["image/gif", "image/jp2", "text/html", "application/pdf"])
def test_other_types_are_none_of_ours(client: TestClient, media_type: str) -> None:
    answer = client.post("/v1/segment", content=b"x", headers={"Content-Type": media_type})
    assert answer.status_code == 415
