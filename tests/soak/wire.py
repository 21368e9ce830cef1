"""HTTP as callers speak it, who may be slow, or leave at any moment."""

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.soak.subject import Subject

PATIENCE_S = 1200.0
"""Nobody who asks properly waits longer for an answer; a busy machine takes its time."""

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset."""

MAY_COME = frozenset((503, 504))
"""Of the statuses from 500 on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `status` is 0 where nothing was, or not all of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    start: float
    end: float

    def json(self) -> Any:
        """Return the body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code; empty where it is none."""
        try:
            return str(self.json()["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class Caller:
    """Asks one service, on a connection that is kept where the service keeps it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._connection: http.client.HTTPConnection | None = None
        self._life = 0

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Ask, and count the answer; a status from 500 on is a fault unless it may come."""
        if self._life != (life := self._subject.lives):
            # What was opened to a process before goes nowhere.
            self.leave()
            self._life = life
        start = time.monotonic()
        try:
            if self._connection is None:
                port = self._subject.port
                self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            self._connection.request(method, path, body, dict(headers))
            reply = self._connection.getresponse()
            kept = {name.lower(): value for name, value in reply.getheaders()}
            answer = Answer(reply.status, kept, reply.read(), start, time.monotonic())
            if reply.will_close:
                self.leave()
        except (OSError, http.client.HTTPException) as error:
            self.leave()
            answer = Answer(0, {}, type(error).__name__.encode(), start, time.monotonic())
        self._count(path, answer)
        return answer

    def leave(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _count(self, path: str, answer: Answer) -> None:
        ledger, status = self._subject.ledger, answer.status
        route = path.partition("?")[0]
        if status == 0:
            if self._subject.excuse(answer.start, answer.end):
                ledger.count("broken off by a kill")
            else:
                took_s = answer.end - answer.start
                ledger.fault(f"{path}: no answer in {took_s:.0f} s ({answer.body.decode()})")
        elif status in MAY_COME:
            ledger.count(f"{status} {answer.code}")
            if status == 503 and "retry-after" not in answer.headers:
                ledger.fault(f"{route}: 503 without Retry-After")
        elif status >= 500:
            ledger.fault(f"{route}: {status} {answer.code}")


class RawLine:
    """A connection on which anything is said; closed by a reset when its context ends."""

    def __init__(self, subject: Subject, timeout_s: float = PATIENCE_S) -> None:
        self._socket = socket.create_connection(("127.0.0.1", subject.port), timeout=timeout_s)

    def __enter__(self) -> socket.socket:
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self._socket.close()


def post_head(path: str, media_type: str, length: int) -> bytes:
    """Return the head of a request whose connection ends with the answer."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def answer_of(line: socket.socket, ended: "threading.Event | None" = None) -> tuple[int, bytes]:
    """Read an answer to its end; status 0 where there is none or a part.

    Parameters
    ----------
    ended
        Reads slowly, until this is set.
    """
    received = bytearray()
    while part := line.recv(4096 if ended else 65536):
        received += part
        if ended and ended.wait(0.05):
            break
    head, gap, body = bytes(received).partition(b"\r\n\r\n")
    if not gap or not head.startswith(b"HTTP/1.1 "):
        return 0, b""
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    whole = len(body) == int(fields.get(b"content-length", len(body)))
    return (int(head[9:12]), body) if whole else (0, b"")
