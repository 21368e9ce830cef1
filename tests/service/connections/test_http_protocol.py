"""Raw bytes against the protocol, with an application that says what it was sent."""

import asyncio
import time
from email.utils import parsedate_to_datetime

import pytest
from structlog.testing import capture_logs

from service.api.problems import Problem
from service.connections.http_protocol import MAX_PIPELINED
from tests.service.connections.http_wire import (
    CHUNKED,
    LATER,
    Wire,
    answer_of,
    ask,
    on_a_wire,
    post,
)

pytestmark = pytest.mark.integration

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
        assert wire.codes == [problem["code"]]
        writer.close()
        await wire.comes_to(0)

    scenario()


def test_what_is_no_request_gets_all_that_other_problems_get() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        ids = set()
        for _ in range(2):
            reader, writer = await wire.connect()
            writer.write(b"nonsense\r\n\r\n")
            head, body = (await reader.read()).split(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            problem = Problem.model_validate_json(body)
            assert (problem.code, problem.request_id) == ("http-broken", fields["x-request-id"])
            told = parsedate_to_datetime(fields["date"]).timestamp()
            assert abs(told - time.time()) < 60
            ids.add(problem.request_id)
        assert len(ids) == 2

    with capture_logs() as entries:
        scenario()
    assert [entry["code"] for entry in entries] == ["http-broken", "http-broken"]
    assert len({entry["request_id"] for entry in entries}) == 2


def test_a_body_that_is_refused_keeps_the_id_of_its_request() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(post(CHUNKED, length=None, body=b""))
        while not wire.connections or wire.connections[0].cycle is None:
            await asyncio.sleep(0.005)
        wire.connections[0].cycle.scope["state"]["request_id"] = "42"
        writer.write(b"no chunk\r\n")
        assert (await answer_of(reader))[1]["request_id"] == "42"

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


EXPECT = "Expect: 100-continue"


@pytest.mark.parametrize(("version", "asked"), [("1.1", True), ("1.0", False)])
def test_only_who_knows_of_it_is_told_to_continue(version: str, asked: bool) -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(post(EXPECT, body=b"").replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        if asked:
            assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        else:
            while not wire.connections or wire.connections[0].cycle is None:
                await asyncio.sleep(0.005)
        writer.write(b"abc")
        assert (await answer_of(reader))[0] == 200

    scenario()


def test_who_does_not_wait_for_the_word_to_continue_reads_why_it_is_refused() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        size = 2**20
        for _ in range(5):
            reader, writer = await wire.connect()
            head = post(EXPECT, body=b"", length=str(size)).replace(b"/x", b"/refused")
            writer.write(head)
            await asyncio.sleep(0.02)
            writer.write(bytes(size))
            await writer.drain()
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 405 ") and answer.endswith(b"no")
            assert b" 100 " not in answer

    scenario()


def test_a_body_nobody_wants_does_not_hold_the_connection() -> None:
    @on_a_wire()
    async def scenario(wire: Wire) -> None:
        reader, writer = await wire.connect()
        writer.write(post(length="99999999999").replace(b"/x", b"/early"))
        assert (await answer_of(reader))[0] == 413
        assert await reader.read() == b""

    scenario()
