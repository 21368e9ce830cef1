"""A listening server that speaks TLS, on either event loop, and clients of it."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.connections.tls_protocol import Handshakes, TlsDoor
from service.tls import TlsOptions, reloaded_context
from tests.certificates import Authority, Issued
from tests.waiting import HANG_S

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}


class Echo(asyncio.Protocol):
    """Answers with what comes; every one that was ever made is counted."""

    made = lost = 0

    def connection_lost(self, _: Exception | None) -> None:
        type(self).lost += 1

    def connection_made(self, transport: Any) -> None:
        type(self).made += 1
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class Door:
    """A listening server, and clients in threads, as other processes would be."""

    def __init__(self, options: TlsOptions, most: int) -> None:
        self.handshakes = Handshakes(reloaded_context(options), most, options.handshake_s)

    async def __aenter__(self) -> "Door":
        Echo.made = Echo.lost = 0
        loop = asyncio.get_running_loop()
        make = lambda: TlsDoor(Echo(), self.handshakes)  # noqa: E731
        self._server = await loop.create_server(make, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.handshakes.close()
        self._server.close()
        await asyncio.sleep(0.05)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=2 * HANG_S)

    async def says(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        """Say something at once on a new connection, and return what comes until the end."""

        def talk() -> bytes:
            with self.connect() as wire:
                try:
                    for piece in pieces:
                        wire.sendall(piece)
                        time.sleep(pause_s)
                    return b"".join(iter(lambda: wire.recv(4096), b""))
                except OSError:
                    return b"reset"

        return await asyncio.to_thread(talk)

    async def echoes(self, authority: Authority, client: Issued | None = None) -> bytes | str:
        """Speak TLS; return what comes back, or why nothing does."""

        def talk() -> bytes | str:
            context = ssl.create_default_context(cafile=authority.file)
            if client is not None:
                context.load_cert_chain(client.certificate, client.key)
            try:
                with context.wrap_socket(self.connect(), server_hostname="localhost") as wire:
                    wire.sendall(b"hello")
                    return wire.recv(16)
            except OSError as error:
                return getattr(error, "reason", None) or type(error).__name__

        return await asyncio.to_thread(talk)


def behind_a_door(
    loop: str, options: TlsOptions, scenario: Callable[[Door], Awaitable[None]], most: int = 64
) -> None:
    async def run() -> None:
        async with asyncio.timeout(3 * HANG_S), Door(options, most) as door:
            await scenario(door)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run())


def hello(authority: Authority) -> bytes:
    """Return the first bytes of a TLS client."""
    sent = ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=authority.file)
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()
