"""The request's body, received within its bounds, with its content coding undone."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from service.api.intake import Place
from service.api.vessel import Vessel
from service.errors import InvalidRequest, TooLarge, UnsupportedCoding

CODINGS = ("gzip", "deflate")
"""Content codings that are undone (RFC 9110, 8.4.1)."""

STEP = 2**20
"""Bytes inflated, or claimed, at once. Inflating them takes about 3 ms; then others are served."""

MOST_MEMBERS = 16_384
"""Of one gzip body. Block-wise writers make one every 64 KiB, and each costs its own state."""


async def receive_body(
    request: Request,
    place: Place,
    take: Callable[[bytes], None],
    *,
    max_bytes: int,
    timeout_s: float,
) -> None:
    """Receive the body, and hand it on a piece at a time.

    Parameters
    ----------
    request
        Whose body.
    place
        Where room for it is claimed, before it is received if its length is declared.
    take
        Called with each piece.
    max_bytes
        Bound on the body, as it is sent and as it is once inflated.
    timeout_s
        Longest time to receive it.

    Raises
    ------
    TooLarge
        The body is over `max_bytes`.
    UnsupportedCoding
        It has a content coding that is not undone here.
    InvalidRequest
        It did not arrive in time, breaks off, or is not coded as it says.
    Overloaded
        There is no room for it.
    """
    pieces = body_pieces(request, max_bytes)
    declared = _declared(request)
    claimed = STEP if declared is None else declared
    if claimed > max_bytes:
        raise _too_large(max_bytes)
    await place.claim(claimed)
    async with receiving(timeout_s):
        async for piece in _housed(pieces, place, claimed):
            take(piece)


def vessel_for(request: Request, place: Place, max_bytes: int) -> Vessel:
    """Give what holds the body, however long it may be; parameters as of `receive_body`."""
    # Of a coded body, the length is that of what is sent.
    size = None if "content-encoding" in request.headers else _declared(request)
    return Vessel(place.slabs, None if size is None else min(size, max_bytes), max_bytes)


def body_pieces(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """Give the body piece by piece, its content coding undone; to be read within `receiving`.

    Raises
    ------
    UnsupportedCoding
        It has a content coding that is not undone here.
    TooLarge
        While it is read: it is over `max_bytes`, as it is sent or once inflated.
    """
    coding = _coding(request.headers.getlist("content-encoding"))
    pieces = _received(request, max_bytes)
    return pieces if coding is None else _inflated(pieces, coding, max_bytes)


@asynccontextmanager
async def receiving(timeout_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Bound the time to receive a body, and say in our own words why it did not arrive.

    Raises
    ------
    InvalidRequest
        It did not arrive in time, breaks off, or is not coded as it says.
    """
    try:
        async with asyncio.timeout(timeout_s) as limit:
            yield limit
    except TimeoutError:
        raise InvalidRequest("upload-timeout", "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise InvalidRequest("client-left", "The caller left before the body was whole.") from None
    except zlib.error:
        raise _broken() from None


def _declared(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _coding(headers: list[str]) -> str | None:
    """Give the one coding of the body; None for none."""
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


async def _housed(pieces: AsyncIterator[bytes], place: Place, claimed: int) -> AsyncIterator[bytes]:
    """Claim what comes beyond the room that was claimed, a step at a time."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        while size > claimed:
            place.claim_now(STEP)
            claimed += STEP
        yield piece


async def _received(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.stream():
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
    """Undoes gzip (RFC 1952, of several members too) or deflate, bit by bit.

    By RFC 9110, 8.4.1.2 deflate is the zlib format; some senders leave its frame away.
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
        """Give what a further piece of the body inflates to, at most `STEP` bytes at a time."""
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
        if self._members > (MOST_MEMBERS if self._gzip else 1):
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
