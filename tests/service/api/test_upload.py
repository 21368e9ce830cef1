import io

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.integration

URL = "/v1/segment?pixel_spacing_mm=1"


def related(png: bytes, *, quoted: bool) -> tuple[bytes, str]:
    """Build a multipart/related body as a PACS does, and its Content-Type."""
    boundary = "b1"
    body = (
        f"--{boundary}\r\nContent-Type: image/png\r\nContent-Location: x\r\n\r\n".encode()
        + png
        + f"\r\n--{boundary}--\r\n".encode()
    )
    name = f'"{boundary}"' if quoted else boundary
    return body, f'multipart/related; type="image/png"; boundary={name}'


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", ""],
)
def test_a_raw_body_is_taken_by_its_type_or_its_content(
    client: TestClient, phantom_png: bytes, content_type: str
) -> None:
    answer = client.post(URL, content=phantom_png, headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["file", "image", "anything at all"])
def test_any_file_part_of_a_form_is_taken(
    client: TestClient, phantom_png: bytes, name: str
) -> None:
    answer = client.post(URL, files={name: ("x.png", io.BytesIO(phantom_png))}, data={"note": "1"})
    assert answer.status_code == 200
    assert answer.json()["regions"][0]["bbox"] == [30, 60, 40, 30]


@pytest.mark.parametrize("quoted", [True, False])
def test_a_related_part_is_taken(client: TestClient, phantom_png: bytes, quoted: bool) -> None:
    body, content_type = related(phantom_png, quoted=quoted)
    answer = client.post(URL, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200


def test_a_boundary_longer_than_the_rfc_allows_is_taken(
    client: TestClient, phantom_png: bytes
) -> None:
    # As Orthanc's DICOMweb plug-in 1.7 writes it: two UUIDs, 73 characters.
    boundary = "3d0c3bf0-c4f1-439b-86af-286cb9326075-3d0c3bf0-c4f1-439b-86af-286cb9326075"
    head, end = f"--{boundary}\r\nContent-Type: image/png\r\n\r\n", f"\r\n--{boundary}--\r\n"
    body = head.encode() + phantom_png + end.encode()
    headers = {"Content-Type": f'multipart/related; type="image/png"; boundary={boundary}'}
    assert client.post(URL, content=body, headers=headers).status_code == 200


def test_a_part_without_name_or_type_is_taken_by_its_content(
    client: TestClient, phantom_png: bytes
) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + phantom_png + b"\r\n--b--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert client.post(URL, content=body, headers=headers).status_code == 200


def test_a_chunked_body_is_taken(client: TestClient, phantom_png: bytes) -> None:
    pieces = (phantom_png[start : start + 100] for start in range(0, len(phantom_png), 100))
    answer = client.post(URL, content=pieces, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200


def refused(client: TestClient, body: bytes, content_type: str, **headers: str) -> tuple[int, str]:
    answer = client.post(URL, content=body, headers={"Content-Type": content_type, **headers})
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_an_empty_body_is_refused(client: TestClient) -> None:
    assert refused(client, b"", "application/dicom") == (400, "empty-body")


@pytest.mark.parametrize("content_type", ["application/dicom", "image/png", "", "image/jpeg"])
def test_text_is_refused(client: TestClient, content_type: str) -> None:
    status, _ = refused(client, b"this is no image at all" * 20, content_type)
    assert status == 400


@pytest.mark.parametrize("content_type", ["text/html", "application/json", "video/mp4", "nonsense"])
def test_another_media_type_is_refused(client: TestClient, content_type: str) -> None:
    assert refused(client, b"x" * 100, content_type) == (415, "media-type")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_refused(client: TestClient, chunked: bool) -> None:
    body = b"\0" * (1024 * 1024 + 1)
    content = iter([body]) if chunked else body
    answer = client.post(URL, content=content, headers={"Content-Type": "application/dicom"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    ("body", "parameters", "code"),
    [
        (b"--b\r\n\r\nx\r\n--b--\r\n", "", "multipart-broken"),
        (b"nothing of the kind", "; boundary=b", "multipart-broken"),
        (
            b"--b\r\nContent-Type: image/png\r\n\r\nx",
            "; boundary=b",
            "multipart-broken",
        ),
        (
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
            "; boundary=b",
            "one-file",
        ),
        (
            b"--b\r\n\r\nx\r\n" * 40 + b"--b--\r\n",
            "; boundary=b",
            "too-many-parts",
        ),
        # The parser bounds the headers of a part.
        (b"--b\r\n" + b"a: b\r\n" * 99 + b"\r\nx\r\n--b--\r\n", "; boundary=b", "multipart-broken"),
        (b"--b\r\na: " + b"b" * 99_999 + b"\r\n\r\nx\r\n--b--", "; boundary=b", "multipart-broken"),
    ],
)
def test_a_broken_form_is_refused(
    client: TestClient, body: bytes, parameters: str, code: str
) -> None:
    assert refused(client, body, "multipart/form-data" + parameters) == (400, code)


def test_a_form_may_hold_the_choices_too(client: TestClient, phantom_png: bytes) -> None:
    def post(query: str = "", **fields: str) -> tuple[object, object]:
        files = {"file": ("x.png", phantom_png)}
        answer = client.post(f"/v1/segment{query}", files=files, data=fields)
        assert answer.status_code == 200, answer.text
        image = answer.json()["image"]
        return image["pixel_spacing_mm"], image["frame"]

    assert post(pixel_spacing_mm="1", frame="1") == ([1.0, 1.0], 1)
    assert post(pixel_spacing_mm="0.5,0.25") == ([0.5, 0.25], None)
    assert post("?pixel_spacing_mm=2", pixel_spacing_mm="1") == ([2.0, 2.0], None)
    assert post(note="x" * 5000, date="1957-04-02") == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("frame", value) for value in ("0", "-1", "x", "", "4097", "1.5", "1 2", "٣")),
        *(("pixel_spacing_mm", value) for value in ("0", "x", "6", "1,2,3", "1\n2", "")),
        *((name, "1" * 5000) for name in ("frame", "pixel_spacing_mm")),
    ],
)
@pytest.mark.parametrize("query", ["", "?frame=1&pixel_spacing_mm=1"], ids=["field", "both"])
def test_a_field_out_of_bounds_is_named_and_not_told(
    client: TestClient, phantom_png: bytes, query: str, name: str, value: str
) -> None:
    url = URL.split("?")[0] + query
    answer = client.post(url, files={"f": phantom_png}, data={name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert name in answer.json()["detail"]


def test_a_number_that_a_generated_client_sends_as_json_is_a_field(
    client: TestClient, phantom_png: bytes
) -> None:
    parts = [
        (b'name="pixel_spacing_mm"\r\nContent-Type: application/json', b"1"),
        (b'name="file"; filename="x.png"', phantom_png),
        # An input of the form in which no file was chosen.
        (b'name="second"; filename=""\r\nContent-Type: application/octet-stream', b""),
    ]
    head = b"--b\r\nContent-Disposition: form-data; "
    body = b"".join(head + told + b"\r\n\r\n" + content + b"\r\n" for told, content in parts)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answers = [
        client.post(f"/v1/{route}", content=body + b"--b--\r\n", headers=headers).json()
        for route in ("segment", "studies")
    ]
    assert [each["problem"] for each in answers[1]["images"]] == [None]
    for result in (answers[0], answers[1]["images"][0]["result"]):
        assert result["image"]["pixel_spacing_mm"] == [1.0, 1.0]


def test_two_files_are_refused(client: TestClient, phantom_png: bytes) -> None:
    files = [("a", ("a.png", phantom_png)), ("b", ("b.png", phantom_png))]
    answer = client.post(URL, files=files)
    assert (answer.status_code, answer.json()["code"]) == (400, "one-file")


def test_the_next_good_request_succeeds(client: TestClient, phantom_png: bytes) -> None:
    refused(client, b"", "application/dicom")
    assert client.post(URL, content=phantom_png).status_code == 200
