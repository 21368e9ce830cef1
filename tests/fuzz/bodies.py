"""Requests as bytes, and changes to them."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.fuzz.havoc import havoc

CODINGS = (b"", b"gzip", b"deflate", b"x-gzip", b"br", b"gzip, gzip")
_WORDS = (
    *(b"\r\n", b"--b", b"--b--", b"--b\r\n\r\n", b'Content-Disposition: form-data; name="frame"'),
    *(
        b"Content-Type: image/png",
        b'; filename="x"',
        b"; name=frame",
        b": ",
        b";",
        b'"',
        b"\\",
        b"=",
    ),
    *(b"multipart/form-data", b"multipart/related", b"boundary=b", b'boundary="b"', b"\0", b"\xff"),
)


@dataclass(frozen=True)
class Sent:
    """A request: two headers and a body, as one run of bytes for the fuzzer."""

    coding: bytes
    content_type: bytes
    body: bytes

    def encoded(self) -> bytes:
        """Return it as bytes."""
        return b"\n".join((self.coding, self.content_type, self.body))


def as_sent(data: bytes) -> Sent:
    """Take such bytes apart, whatever they are."""
    coding, _, rest = data.partition(b"\n")
    content_type, _, body = rest.partition(b"\n")
    return Sent(coding, content_type, body)


def change_request(data: bytes, rng: Random) -> bytes:
    """Change a header, the body, or what it inflates to."""
    sent = as_sent(data)
    match rng.randrange(8):
        case 0:
            sent = replace(sent, coding=rng.choice(CODINGS))
        case 1:
            sent = replace(sent, content_type=_spliced(sent.content_type, rng))
        case 2:
            sent = replace(sent, body=havoc(sent.body, rng))
        case _:
            sent = replace(sent, body=_recoded(sent, rng))
    return sent.encoded()


def _recoded(sent: Sent, rng: Random) -> bytes:
    try:
        plain = _plain(sent)
    except (zlib.error, EOFError, OSError):
        return havoc(sent.body, rng)
    changed = _spliced(plain, rng) if rng.random() < 0.7 else havoc(plain, rng)
    if sent.coding == b"gzip":
        return gzip.compress(changed, 1) * rng.choice((1, 1, 1, 2, 50))
    return zlib.compress(changed, 1) if sent.coding == b"deflate" else changed


def _plain(sent: Sent) -> bytes:
    if sent.coding == b"gzip":
        return zlib.decompressobj(31).decompress(sent.body, 2**21)
    if sent.coding == b"deflate":
        return zlib.decompressobj().decompress(sent.body, 2**21)
    return sent.body


def _spliced(data: bytes, rng: Random) -> bytes:
    """Insert or overwrite a word of the grammar, now and then very often."""
    at = rng.randrange(len(data) + 1)
    word = rng.choice(_WORDS) * rng.choice((1, 1, 1, 1, 2, 40, 2000))
    return data[:at] + word + data[at + rng.choice((0, len(word))) :]


def requests(picture: bytes) -> Iterator[bytes]:
    """Yield well-formed requests that carry a picture."""
    part = b'--b\r\nContent-Disposition: form-data; name="frame"\r\n\r\n1\r\n'
    file = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\nContent-Type: image/png'
    )
    form = part + file + b"\r\n\r\n" + picture + b"\r\n--b--\r\n"
    related = (
        b"--b\r\nContent-Type: image/png\r\nContent-Location: x\r\n\r\n" + picture + b"\r\n--b--"
    )
    kind = b"multipart/form-data; boundary=b"
    yield Sent(b"", b"image/png", picture).encoded()
    yield Sent(b"gzip", b"", gzip.compress(picture)).encoded()
    yield Sent(b"", kind, form).encoded()
    yield Sent(b"gzip", kind, gzip.compress(form)).encoded()
    yield Sent(b"deflate", kind, zlib.compress(form)).encoded()
    yield Sent(b"", b'multipart/related; type="image/png"; boundary="b"', related).encoded()
    yield Sent(b"", kind, part * 40 + form).encoded()
    yield Sent(b"", b"multipart/form-data; boundary=-", b"--" * 5000).encoded()
