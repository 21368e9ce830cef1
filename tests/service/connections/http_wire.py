"""Raw bytes to a listening server, whose application says what it was sent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from service.api.lingering_close import Lingering
from service.connections.http_protocol import HttpProtocol
from service.connections.limits import ConnectionLimits
from service.connections.refusals import ConnectionRefusals
from tests.waiting import HANG_S

LIMITS = ConnectionLimits(connections=8, header_s=60, send_s=60)
LATER = 1e9
"""Seconds that no bound allows."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked; /large is an answer that takes long to read.

    /refused throws the body away behind its answer, as the application does.
    """
    request = Request(scope, receive)
    if request.url.path == "/refused":
        lingering = Lingering(scope, receive, send)
        await Response("no", 405)(scope, lingering.receive, lingering.send)
        return
    if request.url.path == "/large":
        await Response(b"." * 2**24)(scope, receive, send)
        return
    if request.url.path == "/early":
        await Response(status_code=413)(scope, receive, send)
        return
    body = await request.body()
    said = {"method": request.method, "path": request.url.path, "size": len(body)}
    await JSONResponse(said | {"body": body[:64].decode("latin-1")})(scope, receive, send)


class Wire:
    """A listening server with this protocol, and its connections."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.state, self.codes = ServerState(), list[str]()
        self._writers: list[asyncio.StreamWriter] = []
        self._limits, self._config = limits, uvicorn.Config(echo, log_config=None, ws="none")

    @property
    def connections(self) -> list[HttpProtocol]:
        return [one for one in self.state.connections if isinstance(one, HttpProtocol)]

    async def __aenter__(self) -> "Wire":
        self._config.load()
        make = partial(
            HttpProtocol,
            self._config,
            self.state,
            {},
            limits=self._limits,
            refusals=ConnectionRefusals(self.codes.append),
        )
        self._server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        for connection in tuple(self.state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        return reader, writer

    async def comes_to(self, connections: int) -> None:
        """Wait until there are so many."""
        while len(self.state.connections) != connections:
            await asyncio.sleep(0.005)

    def look(self, after_s: float) -> None:
        now = asyncio.get_running_loop().time() + after_s
        for connection in tuple(self.state.connections):
            assert isinstance(connection, HttpProtocol)
            connection.look(now)


def on_a_wire(limits: ConnectionLimits = LIMITS) -> Callable[[Any], Callable[[], None]]:
    """Make a test of a coroutine that is given a `Wire`."""

    def decorate(scenario: Callable[[Wire], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            async with asyncio.timeout(HANG_S), Wire(limits) as wire:
                await scenario(wire)

        def test() -> None:
            asyncio.run(run())

        return test

    return decorate


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    """Read one answer: its status and, if it has any, its JSON."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    body = await reader.readexactly(length)
    return int(head.split()[1]), json.loads(body) if body else {}


async def ask(wire: Wire, *pieces: bytes) -> tuple[int, dict[str, Any]]:
    reader, writer = await wire.connect()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await answer_of(reader)
    writer.close()
    return answer


def post(*fields: str, body: bytes = b"abc", length: str | None = "3") -> bytes:
    lengths = [] if length is None else [f"Content-Length: {length}"]
    lines = ["POST /x HTTP/1.1", "Host: h", *lengths, *fields, "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = "Transfer-Encoding: chunked"
