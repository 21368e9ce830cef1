"""Many connections, that say nothing or very much."""

import contextlib
from collections.abc import Callable

from tests.attack.attack import Attack, Sent
from tests.attack.target import Target

GET = b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n"


def _crowd(count: int, request: bytes) -> Callable[[Target], Sent]:
    def run(target: Target) -> Sent:
        sent = 0
        # Those that find no descriptor left are refused by the kernel after a while.
        with contextlib.suppress(OSError):
            for _ in range(count):
                target.connect().sendall(request)
                sent += len(request)
        return Sent(len(target.lines), sent)

    return run


ATTACKS = (
    Attack("silent", "1,010 connections that say nothing", _crowd(1010, b"")),
    Attack("half-headers", "half a header on each of 1,010", _crowd(1010, GET[:-2])),
    Attack("pipelined", "5,000 requests on each of 20", _crowd(20, GET * 5000)),
)
