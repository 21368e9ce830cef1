"""TLS before HTTP: handshakes are bounded in time and in number, like everything before a request.

The event loop's own servers speak of a connection only once its handshake is done; so nobody could
count those that are under way, nor close any.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

import structlog

from service.tls_files import TlsContext, code_of

log = structlog.get_logger("mammoseg")

SHUTDOWN_S = 5.0
"""Seconds for which the other side's end of TLS is waited for when a connection is closed."""


class Handshakes:
    """The handshakes under way.

    Parameters
    ----------
    contexts
        Gives the context of each new connection.
    most
        At once; beyond, the one that began first is broken off.
    timeout_s
        Longest time for one, seconds.

    Attributes
    ----------
    on_wrong_certificate
        Called, on the event loop, with the address of a client whose certificate was refused.
    """

    def __init__(self, contexts: TlsContext, most: int, timeout_s: float) -> None:
        self.contexts, self.timeout_s = contexts, timeout_s
        self._most = most
        self.on_wrong_certificate: Callable[[str], None] = lambda _: None
        # Of a dictionary, the first key is the oldest.
        self._under_way: dict[TlsDoor, None] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, door: "TlsDoor") -> None:
        """Count one."""
        self._under_way[door] = None
        if len(self._under_way) > self._most:
            next(iter(self._under_way)).abort()

    def end(self, door: "TlsDoor") -> None:
        """Count it no more."""
        self._under_way.pop(door, None)

    def close(self) -> None:
        """Break all of them off: nobody waits for an answer yet."""
        for door in tuple(self._under_way):
            door.abort()


class TlsDoor(asyncio.Protocol):
    """Takes a connection, has TLS spoken on it, and hands it to the protocol inside.

    Parameters
    ----------
    inside
        Speaks HTTP; hears of the connection only after the handshake.
    handshakes
        Where this one is counted.
    """

    def __init__(self, inside: asyncio.Protocol, handshakes: Handshakes) -> None:
        self._inside, self._handshakes = inside, handshakes
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        # What came before TLS took the connection over, and before the protocol inside did.
        self._taken_over = False
        self._ciphertext, self._plaintext = bytearray(), bytearray()
        self._lost = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake."""
        transport.pause_reading()
        self._transport = transport
        self._handshakes.begin(self)
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what comes before its reader is there: uvloop begins to read a paused connection."""
        if self._taken_over:
            self._plaintext += data
            return
        self._ciphertext += data
        assert self._transport is not None
        self._transport.pause_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the other side left."""
        self._lost = True

    def abort(self) -> None:
        """Break the handshake off."""
        self._handshakes.end(self)
        if self._transport is not None:
            self._transport.abort()

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        loop, shake = asyncio.get_running_loop(), self._handshakes
        if transport.is_closing():
            # Its client left already; uvloop would wait for it.
            shake.end(self)
            return
        begun = loop.create_task(
            loop.start_tls(
                transport,
                self,
                shake.contexts.current(),
                server_side=True,
                ssl_handshake_timeout=shake.timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        )
        try:
            await asyncio.sleep(0)
            self._taken_over = True
            self._hand_over(transport.get_protocol())
            async with asyncio.timeout(shake.timeout_s + 1):
                secured = await begun
        except OSError as error:
            log.info("tls-refused", reason=_reason(error))
            if code_of(error) == "tls-certificate":
                shake.on_wrong_certificate((transport.get_extra_info("peername") or ("",))[0])
            transport.abort()
            return
        finally:
            shake.end(self)
            begun.cancel()
        if secured is None or self._lost or transport.is_closing():
            # Of a connection that was lost uvloop says that the handshake is done.
            return
        secured.set_protocol(self._inside)
        self._inside.connection_made(secured)
        if self._plaintext:
            self._inside.data_received(bytes(self._plaintext))
            self._plaintext.clear()

    def _hand_over(self, tls: asyncio.BaseProtocol) -> None:
        """Give the protocol that speaks TLS what came before it."""
        # Of uvloop's it has the methods, and not the base.
        buffered = cast(asyncio.BufferedProtocol, tls)
        while self._ciphertext:
            buffer = memoryview(buffered.get_buffer(len(self._ciphertext))).cast("B")
            size = min(len(buffer), len(self._ciphertext))
            buffer[:size] = self._ciphertext[:size]
            del self._ciphertext[:size]
            buffered.buffer_updated(size)


def _reason(error: OSError) -> str:
    """Return why a handshake failed, in words of OpenSSL; never the other side's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason
    return type(error).__name__
