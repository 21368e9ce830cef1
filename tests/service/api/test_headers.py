import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.integration

URL = "/v1/segment"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": 'multipart/form-data; a="' + ";" * 180_000},
        {"Accept": "a," * 100_000},
        {"X-Anything": "x" * 20_000},
    ],
)
def test_headers_longer_than_any_honest_ones_are_refused(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.post(URL, content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (431, "headers-too-large")


@pytest.mark.parametrize(
    "parameter", ["boundary*=idna''abc", "boundary*=undefined''abc", "boundary=", 'boundary="']
)
def test_a_boundary_in_a_strange_coding_is_refused(client: TestClient, parameter: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; {parameter}"}
    answer = client.post(URL, content=b"--b--", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "multipart-broken")


@pytest.mark.parametrize("name", ["filename*=idna''abc", "filename*=undefined''a", "filename=x"])
def test_a_file_name_in_any_coding_is_a_file(
    client: TestClient, phantom_png: bytes, name: str
) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="f"; {name}\r\n\r\n'.encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(URL, content=head + phantom_png + b"\r\n--b--\r\n", headers=headers)
    assert answer.status_code == 200
