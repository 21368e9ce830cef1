"""Raw bytes against the protocol, with an application that says what it was sent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from service.http_protocol import MAX_HEAD_BYTES, MAX_PIPELINED, ConnectionLimits, HttpProtocol

pytestmark = pytest.mark.integration

LIMITS = ConnectionLimits(connections=8, header_s=60, send_s=60)
LATER = 1e9
"""Seconds that no bound allows."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked; /large is an answer that takes long to read."""
    request = Request(scope, receive)
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
        self.state = ServerState()
        self._writers: list[asyncio.StreamWriter] = []
        self._limits, self._config = limits, uvicorn.Config(echo, log_config=None, ws="none")

    @property
    def connections(self) -> list[HttpProtocol]:
        return [one for one in self.state.connections if isinstance(one, HttpProtocol)]

    async def __aenter__(self) -> "Wire":
        self._config.load()
        make = partial(HttpProtocol, self._config, self.state, {}, limits=self._limits)
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
            async with asyncio.timeout(20), Wire(limits) as wire:
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


OFFERS = {
    "Java": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA"),
    "Apache": ("Connection: Upgrade", "Upgrade: TLS/1.2"),
    "curl": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "websocket": ("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
    "any": ("Upgrade: a/1, b/2", "Connection: uPgRaDe"),
    "twice": ("Upgrade: a", "Upgrade: b", "Connection: upgrade"),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut", [1, 10_000])
def test_an_offer_to_upgrade_is_ignored(offer: tuple[str, ...], chunked: bool, cut: int) -> None:
    request = post(*offer)
    if chunked:
        request = post(*offer, CHUNKED, length=None, body=b"3\r\nabc\r\n0\r\n\r\n")

    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        for _ in range(3):
            for start in range(0, len(request), cut):
                writer.write(request[start : start + cut])
                await asyncio.sleep(0)
            status, said = await answer_of(reader)
            assert (status, said["body"], said["path"]) == (200, "abc", "/x")

    scenario()


def test_offers_in_one_piece_are_answered_in_their_order() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        offer = "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        get = f"GET /1 HTTP/1.1\r\nHost: h\r\n{offer}".encode()
        writer.write(get + post("Connection: Upgrade", "Upgrade: x") + post(body=b"def"))
        said = [(await answer_of(reader))[1] for _ in range(3)]
        assert [one["body"] for one in said] == ["", "abc", "def"]

    scenario()


def test_what_an_offer_hides_is_no_second_request() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        inner = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
        writer.write(
            post("Connection: Upgrade", "Upgrade: x", body=inner, length=str(len(inner))) + post()
        )
        assert (await answer_of(reader))[1]["size"] == len(inner)
        assert (await answer_of(reader))[1]["path"] == "/x"

    scenario()


CHUNKED = "Transfer-Encoding: chunked"

REFUSED = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two hosts in 1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "an offer without host": (b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 400),
    "5,000 digits": (post(length="0" * 4999 + "3"), 400),
    "5,000 nines": (post(length="9" * 5000), 400),
    "two lengths": (post("Content-Length: 4"), 400),
    "no number": (post(length="+3"), 400),
    "a tunnel": (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 400),
    "folded": (post("X: a\r\n b"), 400),
    "endless URL": (b"GET /" + b"a" * 10**6, 414),
    "long URL": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    "endless name": (b"GET / HTTP/1.1\r\n" + b"a" * 10**6, 431),
    "endless value": (b"GET / HTTP/1.1\r\nA: " + b"a" * 10**6, 431),
    "endless fields": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10**6, 431),
    "endless blank lines": (b"\r\n" * 10**6, 431),
    "endless offer": (
        b"GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\nA: " + b"a" * 10**6,
        431,
    ),
    "endless extension": (
        post(CHUNKED, length=None, body=b"1;" + b"a" * 10**6),
        431,
    ),
    "endless extensions": (
        post(CHUNKED, length=None, body=(b"1;" + b"a" * 999 + b"\r\nx\r\n") * 9999),
        431,
    ),
    "endless trailer": (
        post(CHUNKED, length=None, body=b"1\r\nx\r\n0\r\nA: " + b"a" * 10**6),
        431,
    ),
    "endless trailers": (
        post(CHUNKED, length=None, body=b"1\r\nx\r\n0\r\n" + b"A: b\r\n" * 10**6),
        431,
    ),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_request_gets_a_problem_and_the_end(request_: bytes, status: int) -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(request_)
        answered, problem = await answer_of(reader)
        assert (answered, problem["status"]) == (status, status)
        writer.close()
        await wire.comes_to(0)

    scenario()


def test_a_refused_caller_that_stays_is_closed() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(b"nonsense\r\n\r\n")
        assert (await answer_of(reader))[0] == 400
        assert await reader.read() == b""
        wire.look(LATER)
        await wire.comes_to(0)

    scenario()


@pytest.mark.parametrize(
    "body",
    [
        b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n",
        b"8000;a=b\r\n" + b"x" * 0x8000 + b"\r\n0\r\nA: b\r\n\r\n",
        b"00010\r\n0123456789abcdef\r\n" * 20_000 + b"0\r\n\r\n",
    ],
)
def test_honest_chunks_are_taken(body: bytes) -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        status, said = await ask(wire, post(CHUNKED, length=None, body=body))
        assert (status, said["size"]) == (200, body.count(b"x") or 320_000)

    scenario()


def test_many_short_requests_in_one_piece_are_no_long_header() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        for _ in range(4):
            writer.write(post(f"A: {'a' * 8000}") * MAX_PIPELINED)
            for _ in range(MAX_PIPELINED):
                assert (await answer_of(reader))[0] == 200

    scenario()


def test_a_crowd_of_requests_on_one_connection_is_answered_in_part() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" * 5000)
        text = await reader.read()
        while more := await reader.read():
            text += more
        assert text.count(b"200 OK") == MAX_PIPELINED + 1
        assert b" 400 " not in text

    scenario()


def test_the_answer_before_is_not_replaced_by_a_refusal() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(post() + b"nonsense\r\n\r\n")
        assert (await answer_of(reader))[1]["body"] == "abc"
        assert await reader.read() == b""

    scenario()


def test_a_body_nobody_wants_does_not_hold_the_connection() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(post(length="99999999999").replace(b"/x", b"/early"))
        assert (await answer_of(reader))[0] == 413
        assert await reader.read() == b""

    scenario()


@pytest.mark.parametrize("begun", [b"", b"G", b"POST / HTTP/1.1\r\nA: b\r\n"])
@pytest.mark.parametrize("again", [False, True])
def test_a_header_that_does_not_come_ends_the_connection(begun: bytes, again: bool) -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        if again:
            writer.write(post())
            await answer_of(reader)
        writer.write(begun)
        await asyncio.sleep(0.02)
        wire.look(59)
        assert len(wire.state.connections) == 1
        wire.look(61)
        if again and not begun:
            # It is kept as long as uvicorn is told.
            assert len(wire.state.connections) == 1
            return
        assert (await answer_of(reader))[0] == 408
        assert await reader.read() == b""

    scenario()


def test_a_request_that_is_worked_on_has_its_time() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(post(body=b"ab"))
        await asyncio.sleep(0.02)
        wire.look(LATER)
        writer.write(b"c")
        assert (await answer_of(reader))[0] == 200

    scenario()


def test_an_answer_that_nobody_reads_ends_the_connection() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        _, writer = await wire.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.2)
        wire.look(0)
        wire.look(59)
        assert len(wire.state.connections) == 1
        wire.look(61)
        await wire.comes_to(0)

    scenario()


def test_an_answer_that_is_read_slowly_is_read_to_its_end() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        left = 2**24
        # The system says what was read in lumps of megabytes.
        for round_ in range(4):
            wire.look(round_ * 61.0)
            left -= len(await reader.readexactly(2**22))
            await asyncio.sleep(0.02)
        assert left == 0

    scenario()


def test_beyond_the_bound_the_one_that_waited_longest_makes_room() -> None:
    @on_a_wire(ConnectionLimits(connections=2, header_s=60, send_s=60))
    async def scenario(wire: Wire) -> None:
        waiting = []
        for count in (1, 2):
            waiting.append(await wire.connect())
            await wire.comes_to(count)
        for _ in range(3):
            assert (await ask(wire, post()))[0] == 200
            await wire.comes_to(1)
        waiting[1][1].write(post())
        assert (await answer_of(waiting[1][0]))[0] == 200
        assert await waiting[0][0].read() == b""
        assert len(wire.state.connections) <= 2

    scenario()


def test_where_all_are_at_work_one_more_is_told_to_come_again() -> None:
    @on_a_wire(ConnectionLimits(connections=2, header_s=60, send_s=60))
    async def scenario(wire: Wire) -> None:
        busy = [await wire.connect() for _ in range(2)]
        for _, writer in busy:
            writer.write(post(body=b"ab"))
        while sum(one.cycle is not None for one in wire.connections) < 2:
            await asyncio.sleep(0.005)
        reader, _ = await wire.connect()
        assert (await answer_of(reader))[0] == 503
        for reader, writer in busy:
            writer.write(b"c")
            assert (await answer_of(reader))[0] == 200

    scenario()


def test_little_is_held_of_an_endless_header() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        _, writer = await wire.connect()
        writer.write(b"GET / HTTP/1.1\r\nA: " + b"a" * (MAX_HEAD_BYTES - 20))
        await asyncio.sleep(0.02)
        (connection,) = wire.state.connections
        assert isinstance(connection, HttpProtocol)
        assert connection._head_bytes < MAX_HEAD_BYTES

    scenario()
