import gzip
import zlib
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.api import body

pytestmark = pytest.mark.integration

URL = "/v1/segment?pixel_spacing_mm=1"
MIB = 2**20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def members(data: bytes) -> bytes:
    """Two gzip members, as block-wise writers make, and padding."""
    return gzip.compress(data[:100]) + gzip.compress(data[100:]) + b"\0" * 512


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP , identity": gzip.compress,
    "gzip ": members,
    "deflate": zlib.compress,
    " deflate": raw_deflate,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("piece_bytes", [1, 100, 10**6])
@pytest.mark.parametrize("coding", CODERS)
def test_a_coded_body_is_read(
    client: TestClient, phantom_png: bytes, coding: str, piece_bytes: int
) -> None:
    coded = CODERS[coding](phantom_png)
    pieces = (coded[at : at + piece_bytes] for at in range(0, len(coded), piece_bytes))
    headers = {"Content-Type": "image/png", "Content-Encoding": coding}
    answer = client.post(URL, content=pieces, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["regions"][0]["bbox"] == [30, 60, 40, 30]


def test_a_coded_form_is_read(client: TestClient, phantom_png: bytes) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + phantom_png
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": "gzip"}
    content = gzip.compress(form + b"\r\n--b--\r\n")
    assert client.post(URL, content=content, headers=headers).status_code == 200


@pytest.mark.parametrize("coding", ["br", "compress", "zstd", "gzip, gzip", "deflate,gzip", "\t;"])
def test_another_coding_is_refused_and_those_that_are_read_are_named(
    client: TestClient, phantom_png: bytes, coding: str
) -> None:
    headers = {"Content-Type": "image/png", "Content-Encoding": coding}
    answer = client.post(URL, content=phantom_png, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "content-encoding")
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    # RFC 9110, 12.5.3: only then.
    other = client.post(URL, content=b"x", headers={"Content-Type": "text/plain"})
    assert (other.status_code, "accept-encoding" in other.headers) == (415, False)


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9]),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0) + b"trailing"),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-5] + b"\0\0\0\0\0"),
        ("gzip", b"\x1f"),
        ("deflate", zlib.compress(b"x" * 1000)[:-2]),
        ("deflate", zlib.compress(b"x" * 1000) * 2),
        ("deflate", raw_deflate(b"x" * 1000)[:-2]),
        ("deflate", b"\xff" * 100),
    ],
)
def test_a_body_that_is_not_coded_so_is_refused(
    client: TestClient, coding: str, coded: bytes
) -> None:
    headers = {"Content-Type": "image/png", "Content-Encoding": coding}
    answer = client.post(URL, content=coded, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "encoding-broken")


@pytest.mark.parametrize("coder", [gzip.compress, zlib.compress, raw_deflate])
def test_a_bomb_is_not_inflated_past_the_limit(
    client: TestClient, coder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = coder(b"\0" * (8 * MIB))  # type: ignore[operator]
    assert len(bomb) < MIB / 64
    inflated: list[int] = []

    class Spy(body._Inflater):
        def feed(self, piece: bytes):
            for part in super().feed(piece):
                inflated.append(len(part))
                yield part

    monkeypatch.setattr(body, "_Inflater", Spy)
    coding = "gzip" if coder is gzip.compress else "deflate"
    headers = {"Content-Type": "image/png", "Content-Encoding": coding}
    answer = client.post(URL, content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert max(inflated) <= body.STEP
    assert sum(inflated) <= MIB + body.STEP


def test_a_coded_body_at_the_limit_is_let_in(client: TestClient) -> None:
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    for size, code in ((MIB, "not-an-image"), (MIB + 1, "body-too-large")):
        answer = client.post(URL, content=gzip.compress(b"x" * size), headers=headers)
        assert answer.json()["code"] == code


def test_members_without_end_are_refused(client: TestClient) -> None:
    many = gzip.compress(b"") * (body.MAX_MEMBERS + 1)
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    answer = client.post(URL, content=many, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "encoding-broken")
