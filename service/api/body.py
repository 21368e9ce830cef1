"""The request's body, received within its bounds, with its content coding undone."""

import asyncio
import math
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from service.api.body_buffer import BodyBuffer
from service.capacity.slot import Slot
from service.errors import InvalidRequest, TooLarge, UnsupportedCoding

CODINGS = ("gzip", "deflate")
"""Content codings that are undone (RFC 9110, 8.4.1)."""

STEP = 2**20
"""Bytes inflated, or claimed, at once. Inflating them takes about 3 ms; then others are served."""

UNCLAIMED = 64 * 1024
"""The first bytes of a body, for which no memory is claimed: the server buffers as many of every
connection anyway."""

QUOTA_S = 10.0
"""Seconds over which a sender's rate is measured: in each such span that it is waited for, it must
reach its minimum rate."""

MAX_LENGTH_DIGITS = 20

MAX_MEMBERS = 16_384
"""Of one gzip body. Block-wise writers make one every 64 KiB, and each costs its own state."""


@dataclass(frozen=True, slots=True)
class SenderBounds:
    """How long a sender may take, while it is waited for.

    Attributes
    ----------
    total_s
        For a body, or for each instance of one, seconds.
    bytes_s
        Least rate, bytes a second.
    longest_s
        For a body of several instances.
    """

    total_s: float
    bytes_s: float
    longest_s: float = math.inf


class Sender:
    """Measures how long we wait for a sender; the time that it waits for us does not count."""

    def __init__(self, bounds: SenderBounds) -> None:
        self._bounds = bounds
        self._waited_s = self._renewed_s = self._quota_s = 0.0
        self._bytes = 0.0

    async def next(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """Return what it sends next; None for the end.

        Raises
        ------
        TimeoutError
            It took too long.
        """
        bounds = self._bounds
        until_s = min(self._renewed_s + bounds.total_s, self._quota_s + QUOTA_S, bounds.longest_s)
        clock = asyncio.get_running_loop().time
        before = clock()
        async with asyncio.timeout(max(0.0, until_s - self._waited_s)):
            piece = await anext(pieces, None)
        self._waited_s += clock() - before
        self._bytes += len(piece or b"")
        if self._bytes >= QUOTA_S * bounds.bytes_s:
            self._bytes, self._quota_s = 0.0, self._waited_s
        return piece

    def renew(self) -> None:
        """Let the time of an instance begin again."""
        self._renewed_s = self._waited_s


async def receive_body(
    request: Request,
    slot: Slot,
    take: Callable[[bytes], None],
    *,
    max_bytes: int,
    bounds: SenderBounds,
) -> None:
    """Receive the body, and hand it on a piece at a time.

    Parameters
    ----------
    request
        Whose body.
    slot
        Where memory for it is claimed as it comes.
    take
        Called with each piece.
    max_bytes
        Bound on the body, as it is sent and as it is once inflated.
    bounds
        How long its sender may take.

    Raises
    ------
    TooLarge
        The body is over `max_bytes`.
    UnsupportedCoding
        It has a content coding that is not undone here.
    InvalidRequest
        It did not arrive in time, breaks off, or is not coded as it says.
    Overloaded
        There is no memory for it.
    """
    pieces = body_pieces(request, max_bytes, Sender(bounds))
    declared = _declared(request)
    if declared is not None and declared > max_bytes:
        raise _too_large(max_bytes)
    slot.expect(None if "content-encoding" in request.headers else declared)
    with explained():
        async for piece in _housed(pieces, slot):
            take(piece)


def body_buffer_for(request: Request, slot: Slot, max_bytes: int) -> BodyBuffer:
    """Return what holds the body, however long it may be; parameters as of `receive_body`."""
    # Of a coded body, the length is that of what is sent.
    size = None if "content-encoding" in request.headers else _declared(request)
    return BodyBuffer(slot.buffers, None if size is None else min(size, max_bytes), max_bytes)


def body_pieces(request: Request, max_bytes: int, sender: Sender) -> AsyncIterator[bytes]:
    """Return the body piece by piece, its content coding undone; to be read within `explained`.

    Raises
    ------
    UnsupportedCoding
        It has a content coding that is not undone here.
    TooLarge
        While it is read: it is over `max_bytes`, as it is sent or once inflated.
    """
    coding = _coding(request.headers.getlist("content-encoding"))
    pieces = _received(request, max_bytes, sender)
    return pieces if coding is None else _inflated(pieces, coding, max_bytes)


@contextmanager
def explained() -> Iterator[None]:
    """Say in our own words why a body did not arrive.

    Raises
    ------
    InvalidRequest
        It did not arrive in time, breaks off, or is not coded as it says.
    """
    try:
        yield
    except TimeoutError:
        raise InvalidRequest("upload-timeout", "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise InvalidRequest("client-left", "The caller left before the body was whole.") from None
    except zlib.error:
        raise _broken() from None


def _declared(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return None
    if len(length) > MAX_LENGTH_DIGITS:
        raise InvalidRequest("content-length", "Content-Length is no number of bytes.")
    return int(length)


def _coding(headers: list[str]) -> str | None:
    """Return the one coding of the body; None for none."""
    named = [name.strip().lower() for header in headers for name in header.split(",")]
    # RFC 9110, 8.4.1.3: x-gzip is another name of gzip.
    codings = [name.removeprefix("x-") for name in named if name not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in CODINGS:
        raise UnsupportedCoding(
            "content-encoding", "Send the body as it is, or with one of gzip and deflate.", CODINGS
        )
    return codings[0]


async def _housed(pieces: AsyncIterator[bytes], slot: Slot) -> AsyncIterator[bytes]:
    """Claim memory for what comes, a step at a time."""
    size, claimed = 0, UNCLAIMED
    async for piece in pieces:
        size += len(piece)
        while size > claimed:
            await slot.grow(STEP)
            claimed += STEP
        yield piece


async def _received(request: Request, max_bytes: int, sender: Sender) -> AsyncIterator[bytes]:
    size, pieces = 0, request.stream()
    while (piece := await sender.next(pieces)) is not None:
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        yield piece


async def _inflated(
    pieces: AsyncIterator[bytes], coding: str, max_bytes: int
) -> AsyncIterator[bytes]:
    inflater, size = _Inflater(coding), 0
    async for piece in pieces:
        for inflated in inflater.feed(piece):
            size += len(inflated)
            if size > max_bytes:
                raise _too_large(max_bytes)
            yield inflated
            await asyncio.sleep(0)
    if not inflater.whole:
        raise _broken()


class _Inflater:
    """Inflates gzip (RFC 1952, with several members, too) or deflate, a piece at a time.

    By RFC 9110, 8.4.1.2, deflate is the zlib format; some senders leave out its header and its
    checksum.
    """

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._head = b""
        self._stream: zlib._Decompress | None = None
        self._members = 0

    @property
    def whole(self) -> bool:
        """The last byte came, or there never was one."""
        return not self._head and (self._stream is None or self._stream.eof)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what a further piece of the body inflates to, at most `STEP` bytes at a time."""
        data, self._head = self._head + piece, b""
        full = False
        while data or full:
            if self._stream is None or self._stream.eof:
                if self._members:
                    # Some writers pad the end.
                    data = data.lstrip(b"\0")
                if len(data) < 2:
                    self._head = data
                    return
                self._stream = self._next(data)
            inflated = self._stream.decompress(data, STEP)
            full = len(inflated) == STEP
            data = self._stream.unconsumed_tail or self._stream.unused_data
            yield inflated

    def _next(self, data: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > (MAX_MEMBERS if self._gzip else 1):
            raise _broken()
        if self._gzip:
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        # RFC 1950, 2.2: method 8, and a check that makes both bytes a multiple of 31.
        framed = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
        return zlib.decompressobj(zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)


def _broken() -> InvalidRequest:
    return InvalidRequest("encoding-broken", "The body is not coded as Content-Encoding says.")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge("body-too-large", f"The body is over the limit of {max_bytes >> 20} MiB.")
