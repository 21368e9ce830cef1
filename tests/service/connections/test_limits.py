"""How long a connection may be idle, slow or unread, and how many there may be."""

import asyncio

import pytest

from service.connections.http_protocol import MAX_HEAD_BYTES, HttpProtocol
from service.connections.limits import ConnectionLimits
from tests.service.connections.http_wire import LATER, Wire, answer_of, ask, on_a_wire, post

pytestmark = pytest.mark.integration


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


def refused(body: bytes = b"a") -> bytes:
    return post(body=body, length="1000000").replace(b"/x", b"/refused")


def test_one_that_is_answered_and_still_sends_makes_room_before_one_that_waits() -> None:
    @on_a_wire(ConnectionLimits(connections=3, header_s=60, send_s=60))
    async def scenario(wire: Wire) -> None:
        waiting = [await wire.connect()]
        await wire.comes_to(1)
        lingering = []
        for count in (2, 3):
            reader, writer = await wire.connect()
            writer.write(refused())
            assert b" 405 " in await reader.readuntil(b"no")
            lingering.append((reader, writer))
            await wire.comes_to(count)
        # The one that has sent the longest goes first; what it sends meanwhile renews nothing.
        lingering[0][1].write(b"b")
        for reader, _ in lingering:
            assert (await ask(wire, post()))[0] == 200
            assert await reader.read() == b""
            await wire.comes_to(2)
            waiting.append(await wire.connect())
            await wire.comes_to(3)
        for reader, writer in waiting:
            writer.write(post())
            assert (await answer_of(reader))[0] == 200

    scenario()


def test_one_that_reads_its_answer_or_is_at_work_makes_no_room() -> None:
    @on_a_wire(ConnectionLimits(connections=2, header_s=60, send_s=60))
    async def scenario(wire: Wire) -> None:
        reads, writer = await wire.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(post(length="9").replace(b"/x", b"/large"))
        works, at_work = await wire.connect()
        at_work.write(post(body=b"ab"))
        while not all(one.cycle is not None for one in wire.connections):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        reader, _ = await wire.connect()
        assert (await answer_of(reader))[0] == 503
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        await reads.readuntil(b"\r\n\r\n")
        await reads.readexactly(2**24)
        at_work.write(b"c")
        assert (await answer_of(works))[0] == 200

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
        status, problem = await answer_of(reader)
        assert (status, problem["code"]) == (503, "connections")
        assert wire.codes == ["connections"]
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
