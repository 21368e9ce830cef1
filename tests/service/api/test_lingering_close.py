import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message

from service.api import lingering_close
from service.api.lingering_close import Lingering
from tests.service.capacity.test_budget import in_a_loop
from tests.waiting import HANG_S

pytestmark = pytest.mark.unit

START: Message = {"type": "http.response.start", "status": 503, "headers": []}
END: Message = {"type": "http.response.body", "body": b"no"}
LEFT: Message = {"type": "http.disconnect"}


def piece(size: int, more: bool) -> Message:
    return {"type": "http.request", "body": b"." * size, "more_body": more}


class Wire:
    """A server's two ends, in the order of what happens at them."""

    def __init__(self, pieces: Iterable[Message], **headers: str) -> None:
        self.pieces, self.seen = list(pieces), list[object]()
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.lingering = Lingering({"type": "http", "headers": named}, self.receive, self.send)

    async def receive(self) -> Message:
        message = self.pieces.pop(0)
        self.seen.append(len(message.get("body", b"")))
        return message

    async def send(self, message: Message) -> None:
        self.seen.append((message.get("body"), message.get("more_body", False)))


def test_an_early_answer_is_sent_at_once_and_ended_after_the_body() -> None:
    wire = Wire([piece(5, True), piece(7, True), piece(1, False)], **{"content-length": "13"})

    @in_a_loop
    async def scenario() -> None:
        await wire.lingering.receive()
        await wire.lingering.send(START)
        await wire.lingering.send(END)

    scenario()
    assert wire.seen == [5, (None, False), (b"no", True), 7, 1, (b"", False)]


@pytest.mark.parametrize("headers", [{}, {"content-length": "0"}, {"expect": "100-continue"}])
def test_where_no_body_comes_none_is_waited_for(headers: dict[str, str]) -> None:
    wire = Wire([], **headers)

    @in_a_loop
    async def scenario() -> None:
        await wire.lingering.send(START)
        await wire.lingering.send(END)

    scenario()
    assert wire.seen == [(None, False), (b"no", False)]


def test_who_asked_before_it_sends_is_told_that_the_connection_ends() -> None:
    wire = Wire([], **{"content-length": "9", "expect": "100-continue"})
    started: list[Message] = []

    async def send(message: Message) -> None:
        started.append(message)

    wire.lingering._send = send
    asyncio.run(wire.lingering.send(START))
    assert started[0]["headers"] == [(b"connection", b"close")]
    assert START["headers"] == []


ASKS = {"content-length": "9", "expect": "100-Continue"}


def test_who_asked_and_does_not_wait_is_read_out() -> None:
    wire = Wire([piece(5, True), piece(4, False)], **ASKS)

    @in_a_loop
    async def scenario() -> None:
        await wire.lingering.send(START)
        await wire.lingering.send(END)

    scenario()
    assert wire.seen == [(None, False), (b"no", True), 5, 4, (b"", False)]


def test_who_asked_and_waits_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "ASKED_S", 0.01)
    monkeypatch.setattr(lingering_close, "SILENT_S", 10 * HANG_S)
    wire = Wire([], **ASKS)

    async def never() -> Message:
        return await asyncio.Future()

    wire.lingering._receive = never

    async def scenario() -> None:
        async with asyncio.timeout(HANG_S):
            await wire.lingering.send(START)
            await wire.lingering.send(END)

    asyncio.run(scenario())
    assert wire.seen == [(None, False), (b"no", True), (b"", False)]


@pytest.mark.parametrize(
    ("version", "expect"), [("1.0", "100-continue"), ("1.1", "200-ok"), ("1.1", "")]
)
def test_who_asked_nothing_that_is_heard_may_keep_its_connection(version: str, expect: str) -> None:
    fields = [(b"content-length", b"9"), (b"expect", expect.encode())]
    scope = {"type": "http", "http_version": version, "headers": fields}
    wire = Wire([piece(9, False)])
    started: list[Message] = []

    async def send(message: Message) -> None:
        started.append(message)

    async def scenario() -> None:
        lingering = Lingering(scope, wire.receive, send)
        await lingering.send(START)
        await lingering.send(END)

    asyncio.run(scenario())
    assert started[0]["headers"] == []
    assert wire.seen == [9]


def test_a_body_that_came_whole_is_not_waited_for() -> None:
    wire = Wire([piece(5, True), piece(8, False)], **{"transfer-encoding": "chunked"})

    @in_a_loop
    async def scenario() -> None:
        await wire.lingering.receive()
        await wire.lingering.receive()
        await wire.lingering.send(END)

    scenario()
    assert wire.seen == [5, 8, (b"no", False)]


def test_a_caller_that_hangs_up_meanwhile_ends_it() -> None:
    wire = Wire([piece(5, True), LEFT], **{"content-length": "13"})
    asyncio.run(wire.lingering.send(END))
    assert wire.seen == [(b"no", True), 5, 0, (b"", False)]


def test_a_body_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "MAX_LINGER_BYTES", 12)
    wire = Wire([piece(5, True)] * 9, **{"content-length": "45"})
    asyncio.run(wire.lingering.send(END))
    assert wire.seen == [(b"no", True), 5, 5, 5, (b"", False)]


def test_a_caller_that_stops_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "MAX_LINGER_S", 0.01)
    monkeypatch.setattr(lingering_close, "SILENT_S", 10 * HANG_S)
    wire = Wire([], **{"content-length": "45"})

    async def never() -> Message:
        return await asyncio.Future()

    wire.lingering._receive = never
    asyncio.run(wire.lingering.send(END))
    assert wire.seen == [(b"no", True), (b"", False)]


@pytest.mark.parametrize(("status", "ends"), [(401, True), (429, True), (503, False)])
def test_a_caller_that_is_not_known_is_waited_for_less_long(
    monkeypatch: pytest.MonkeyPatch, status: int, ends: bool
) -> None:
    monkeypatch.setattr(lingering_close, "STRANGER_S", 0.01)
    wire = Wire([], **{"content-length": "9"})

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    wire.lingering._receive = never

    async def scenario() -> None:
        await wire.lingering.send({**START, "status": status})
        async with asyncio.timeout(HANG_S if ends else 0.5):
            await wire.lingering.send(END)

    if ends:
        asyncio.run(scenario())
        assert wire.seen[-1] == (b"", False)
    else:
        with pytest.raises(TimeoutError):
            asyncio.run(scenario())
