"""Callers: raw HTTP over asyncio, so that what they cost themselves is little."""

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request; status 0 when the server closed the connection unanswered."""

    status: int
    seconds: float
    retry_after: int | None = None


def request_of(body: bytes, *, form: bool = False) -> bytes:
    """Return a whole POST of a DICOM file, raw or as the field `request` of a form."""
    kind = "application/dicom"
    if form:
        kind = "multipart/form-data; boundary=mammogram"
        body = b"".join(
            (
                b'--mammogram\r\nContent-Disposition: form-data; name="request"; ',
                b'filename="image.dcm"\r\nContent-Type: application/dicom\r\n\r\n',
                body,
                b"\r\n--mammogram--\r\n",
            )
        )
    head = (
        f"POST /v1/segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


async def ask(port: int, request: bytes) -> Reply:
    """Send one request and read its whole answer."""
    started = time.perf_counter()
    answer = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        try:
            writer.write(request)
            answer = await reader.read()
        finally:
            writer.close()
    except OSError:
        pass
    return _reply(answer, time.perf_counter() - started)


def _reply(answer: bytes, seconds: float) -> Reply:
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    if not head:
        return Reply(0, seconds)
    retry = [line.split(":")[1] for line in head.splitlines() if line.startswith("retry-after:")]
    return Reply(int(head.split()[1]), seconds, int(retry[0]) if retry else None)


async def pump(port: int, request: bytes, count: int, concurrency: int) -> list[Reply]:
    """Send `count` requests, `concurrency` at a time."""
    left = iter(range(count))
    replies: list[Reply] = []

    async def caller() -> None:
        for _ in left:
            replies.append(await ask(port, request))

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return replies


def rate(port: int, request: bytes, count: int, concurrency: int) -> float:
    """Return mammograms a second.

    Raises
    ------
    RuntimeError
        One was not answered 200.
    """
    started = time.perf_counter()
    replies = asyncio.run(pump(port, request, count, concurrency))
    took = time.perf_counter() - started
    others = {reply.status for reply in replies} - {200}
    if others:
        raise RuntimeError(f"answered {others}")
    return count / took
