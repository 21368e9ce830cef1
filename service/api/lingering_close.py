"""A refusal reaches its caller although the body is still on its way.

A connection that is closed while bytes of it wait unread is reset, and the reset overtakes the
answer: the caller sees a broken pipe instead of 503 and Retry-After. So the answer is sent at once,
but ended only when the rest of the body has come and been thrown away (RFC 9112, 9.6).
"""

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

MAX_LINGER_BYTES = 64 * 2**20
MAX_LINGER_S = 60.0
"""Bounds on the bytes thrown away, and on the seconds that takes: a caller that exceeds one is cut
off."""

STRANGER_S = 10.0
"""Seconds for the rest of a body of a caller that is not known, or asks too often."""

SILENT_S = 5.0
"""A caller that sends nothing for so many seconds is cut off, too, as by nginx's
lingering_timeout."""

ASKED_S = 1.0
"""Seconds for the first of the body of a caller that asked whether to send it, and was refused. Who
waits for the answer sends none, and hangs up; but none needs to wait (RFC 9110, 10.1.1)."""


class Lingering:
    """Around one request: `receive` and `send` for the application.

    Parameters
    ----------
    scope, receive, send
        The server's.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._max_s = MAX_LINGER_S
        headers = Headers(scope=scope)
        # RFC 9110, 10.1.1: of HTTP/1.0 it is ignored. To receive asks the caller to send, but no
        # more once the answer has begun.
        self._asks = scope.get("http_version") != "1.0" and any(
            value.lower() == "100-continue" for value in headers.getlist("expect")
        )
        self._more = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

    async def receive(self) -> Message:
        """Return the server's next message, and note whether more of the body is to come."""
        self._asks = False
        message = await self._receive()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; the last of the answer only after the last of the body."""
        if message["type"] == "http.response.start" and self._asks:
            # Whether it sends its body nevertheless is not known.
            headers = [*message.get("headers", []), (b"connection", b"close")]
            message = {**message, "headers": headers}
        if message["type"] == "http.response.start" and message["status"] in (401, 429):
            self._max_s = STRANGER_S
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (last and self._more):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._throw_away()
        await self._send({"type": "http.response.body", "body": b""})

    async def _throw_away(self) -> None:
        size, silent_s = 0, ASKED_S if self._asks else SILENT_S
        try:
            async with asyncio.timeout(self._max_s):
                while self._more and size < MAX_LINGER_BYTES:
                    async with asyncio.timeout(silent_s):
                        size += len((await self.receive()).get("body", b""))
                    silent_s = SILENT_S
        except TimeoutError:
            return
