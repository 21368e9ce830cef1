"""Headers, trailers and URLs without end, on one connection; and a length of 5,000 digits."""

import contextlib
import time
from collections.abc import Callable

from tests.attack.attack import MIB, Attack, Sent
from tests.attack.target import Target

BYTES = 64 * MIB
SENDING_S = 15.0
POST = b"POST /v1/segment HTTP/1.1\r\nHost: h\r\nContent-Type: application/dicom\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
FIELD = b"A: " + b"b" * 997 + b"\r\n"


def _endless(begin: bytes, again: bytes) -> Callable[[Target], Sent]:
    piece = again * (MIB // len(again))

    def run(target: Target) -> Sent:
        line = target.connect()
        sent, ends = 0, time.monotonic() + SENDING_S
        with contextlib.suppress(OSError):
            line.sendall(begin)
            while sent < BYTES and time.monotonic() < ends:
                line.sendall(piece)
                sent += len(piece)
        return Sent(1, sent)

    return run


def _long_length(target: Target) -> Sent:
    request = POST + b"Content-Length: " + b"5".zfill(5000) + b"\r\n\r\nxxxxx"
    line = target.connect()
    line.sendall(request)
    answer = line.recv(1000)[:12].decode(errors="replace")
    faults = () if answer.startswith("HTTP/1.1 4") else (f"answered {answer[-3:]!r}",)
    return Sent(1, len(request), faults)


ATTACKS = (
    Attack("endless-header", "64 MiB of header fields", _endless(POST, FIELD)),
    Attack("endless-value", "64 MiB of one field's value", _endless(POST + b"A: ", b"b" * 1000)),
    Attack("endless-url", "64 MiB of URL", _endless(b"GET /", b"a" * 1000)),
    Attack("endless-trailer", "64 MiB after the last chunk", _endless(CHUNKED, FIELD)),
    Attack("long-length", "a Content-Length of 5,000 digits", _long_length),
)
