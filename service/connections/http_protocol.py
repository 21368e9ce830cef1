"""One connection of the HTTP server: uvicorn's protocol on httptools, with the bounds of a server.

What uvicorn leaves to a proxy in front is done here, as nginx does it: bytes are bounded while no
header is complete, waiting is bounded in time, connections are bounded in number. An offer to
upgrade is ignored (RFC 9110, 7.8): httptools takes the bytes after it for another protocol's, so
the bodies were lost that Java's HttpClient and `curl --http2` send with such an offer by default.
"""

import asyncio
import uuid
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.connections.http_header import (
    MAX_URL_BYTES,
    broken,
    check_header,
    head_too_large,
    last_answer,
    url_too_long,
)
from service.connections.limits import ConnectionLimits
from service.connections.refusals import ConnectionRefusals
from service.connections.unread_answer import UnreadAnswer
from service.errors import InvalidRequest, MammosegError, Overloaded, RequestTimeout

MAX_HEAD_BYTES = 32 * 1024
"""Of a request line and header as they are sent; of the trailers after a chunked body, too."""

SLICE = 64 * 1024
"""Bytes of a chunked body that are parsed at once: within so many, its trailers' end may go
unnoticed."""

MAX_FRAMING_PER_BYTE = 16
"""Bytes of chunk sizes and extensions for each byte of a body: a chunk of one takes six."""

MAX_PIPELINED = 16
"""Requests that wait for the answer of the one before; beyond, the connection is closed."""

LINGER_S = 5.0
"""Seconds that a caller has to read a refusal; what it sends meanwhile is thrown away. A connection
that is closed while bytes wait unread is reset, and the reset overtakes the answer."""


class HttpProtocol(HttpToolsProtocol):
    """Serves one connection.

    Parameters
    ----------
    config, server_state, app_state
        Uvicorn's.
    limits
        Bounds.
    refusals
        Told of what is refused here.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        refusals: ConnectionRefusals,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._refusals = limits, refusals
        self.url = b""
        self._in_head, self._head_bytes = True, 0
        self._begun_at = self.loop.time()
        # Of the body: what is left of a declared length, what came, and what came around it.
        self._left: int | None = None
        # A request ended in the piece that is being parsed.
        self._ended = False
        self._body_bytes = self._framing_bytes = self._quiet_bytes = 0
        # An offer was read, and the header is read again without it.
        self._offered = False
        self._deaf_until: float | None = None
        self._aborted = False
        self._unread = UnreadAnswer(limits.send_s)

    # What uvicorn's server and the event loop call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; where there are too many, the one that waited longest goes."""
        super().connection_made(transport)
        if len(self.connections) <= self._limits.connections:
            return
        every = [one for one in self.connections if isinstance(one, HttpProtocol)]
        others = [one for one in every if not one._aborted and one is not self]
        may_go = [one for one in others if one.lingers] or [one for one in others if one.waits]
        if may_go:
            min(may_go, key=lambda one: one._begun_at)._abort()
            return
        error, request_id = Overloaded("connections", "Too many connections."), uuid.uuid4().hex
        self._refusals.too_many(error.code, request_id)
        transport.write(last_answer(error, request_id))
        transport.close()

    @property
    def lingers(self) -> bool:
        """Whether the answer is sent, and only what its caller still sends is thrown away."""
        if self.transport.get_write_buffer_size():
            return False
        if self._deaf_until is not None:
            return self._is_done
        cycle = self.cycle
        is_answered = cycle is not None and cycle.response_started and not cycle.response_complete
        return is_answered and cycle.more_body

    @property
    def waits(self) -> bool:
        """Whether no request is under way on this connection; part of a header may have come."""
        return self._in_head and (self.cycle is None or self.cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        """Parse what came, a slice at a time."""
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        while rest and self._deaf_until is None and not self.transport.is_closing():
            piece = rest[: self._slice()]
            rest = rest[self._feed(piece) :]

    def look(self, now: float) -> None:
        """Close the connection if its client keeps us waiting too long; to be called every second.

        Parameters
        ----------
        now
            The event loop's time, seconds.
        """
        if self._unread.stuck(self.transport.get_write_buffer_size(), now):
            self._abort()
        elif self._deaf_until is not None:
            if now > self._deaf_until and self._is_done:
                self.transport.close()
        elif (
            self.waits
            and self.timeout_keep_alive_task is None
            and now - self._begun_at > self._limits.header_s
        ):
            self._refuse(RequestTimeout("header-timeout", "No header arrived in time."))

    def resume_writing(self) -> None:
        """Go on: what was written is being read."""
        self._unread.is_read()
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header's field; one after the body is read by nobody (RFC 9110, 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, unless the header is one to be read again."""
        if self._offered or self.parser.should_upgrade():
            self._offered = True
            return
        version = self.parser.get_http_version()
        check_header(self.headers, self.url, version)
        # RFC 9110, 10.1.1: to HTTP/1.0 a "100 Continue" is the answer.
        self.expect_100_continue &= version != "1.0"
        if len(self.pipeline) >= MAX_PIPELINED:
            raise InvalidRequest("pipeline", "Too many requests wait for their answer.")
        lengths = [value for name, value in self.headers if name == b"content-length"]
        self._left = int(lengths[0]) if lengths else None
        self._in_head = False
        self._body_bytes = self._framing_bytes = self._quiet_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_bytes += len(body)
        if self._left is not None:
            self._left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next may begin."""
        if self._offered:
            return
        super().on_message_complete()
        self._in_head, self._head_bytes, self._left, self._ended = True, 0, None, True
        self._begun_at = self.loop.time()

    def on_response_complete(self) -> None:
        """End an answer; close the connection if the request's body is still to come.

        No further request could follow on it.
        """
        if not self._in_head and self.cycle.response_complete:
            self.transport.close()
        self._begun_at = self.loop.time()
        super().on_response_complete()

    # Our own.

    @property
    def _is_done(self) -> bool:
        """Whether no answer is to come, once the connection is deaf."""
        return self.waits or self.cycle.disconnected

    def _slice(self) -> int:
        if self._in_head:
            return MAX_HEAD_BYTES - self._head_bytes
        return max(1, self._left) if self._left is not None else SLICE

    def _feed(self, piece: memoryview) -> int:
        """Parse a piece, up to an offer to upgrade; return how many bytes were parsed."""
        if self._in_head and not self._head_bytes:
            self._begun_at = self.loop.time()
        in_body, body_bytes, size = not self._in_head, self._body_bytes, len(piece)
        self._ended = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            size = offer.args[0]
            self._read_again()
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, MammosegError) else broken())
        except httptools.HttpParserError:
            self._refuse(broken())
        if self._ended:
            # Of which a next header may have begun in this piece, too short to matter.
            return size
        if self._in_head:
            self._count_head(size)
        elif in_body and self._left is None:
            self._count_framing(size, self._body_bytes - body_bytes)
        return size

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes >= MAX_HEAD_BYTES and self._deaf_until is None:
            if len(self.url) > MAX_URL_BYTES:
                self._refuse(url_too_long())
            else:
                self._refuse(head_too_large())

    def _count_framing(self, size: int, of_body: int) -> None:
        self._framing_bytes += size - of_body
        self._quiet_bytes = 0 if of_body else self._quiet_bytes + size
        allowed = MAX_HEAD_BYTES + MAX_FRAMING_PER_BYTE * self._body_bytes
        if self._framing_bytes > allowed or self._quiet_bytes > MAX_HEAD_BYTES:
            self._refuse(head_too_large())

    def _read_again(self) -> None:
        """Have the header of an offer parsed as that of a request without it."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(broken())
            return
        version = self.parser.get_http_version().encode()
        head = [b"%s %s HTTP/%s" % (method, self.url, version)]
        head += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._offered = False
        self._feed(memoryview(b"\r\n".join([*head, b"", b""])))

    def _refuse(self, error: MammosegError) -> None:
        """Answer bytes that never become a request, and close once the answer could be read."""
        if self._deaf_until is not None:
            return
        self._deaf_until = self.loop.time() + LINGER_S
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            if cycle.response_started or self._in_head or self.pipeline:
                # The answer is that of a request before.
                return
            cycle.disconnected = True
            cycle.message_event.set()
        request_id = self._request_id()
        self._refusals.refused(error.code, request_id)
        self.transport.write(last_answer(error, request_id))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _request_id(self) -> str:
        """Return that of the request in whose body something is wrong; else a new one."""
        told = None if self._in_head else self.cycle.scope["state"].get("request_id")
        return told or uuid.uuid4().hex

    def _abort(self) -> None:
        self._aborted = True
        self.transport.abort()
