import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.api.room import GUESS, BodyRoom, Claim, PixelRoom
from service.errors import CallerLeft, DeadlineExceeded, Overloaded
from service.patience import Patience

pytestmark = pytest.mark.unit


def in_a_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(scenario())

    run.__name__ = scenario.__name__
    return run


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@in_a_loop
async def test_bodies_wait_their_turn() -> None:
    room, order = BodyRoom(100), []

    async def take(name: str, size: int) -> Claim:
        taken = Claim(size)
        await room.grow(taken, size, 60)
        order.append(name)
        return taken

    first = await take("first", 80)
    waiting = [asyncio.create_task(take(name, size)) for name, size in (("b", 50), ("c", 10))]
    await settle()
    # There is no room for b, which need not keep c waiting.
    assert order == ["first", "c"]
    waiting.append(asyncio.create_task(take("d", 50)))
    await settle()
    room.give_back(first)
    await asyncio.gather(waiting[0])
    assert order == ["first", "c", "b"]
    room.give_back(waiting[0].result())
    await waiting[2]


@in_a_loop
async def test_who_declares_much_and_sends_little_keeps_nobody_waiting() -> None:
    room = BodyRoom(100)
    hostile = [asyncio.create_task(room.grow(Claim(100), 1, 60)) for _ in range(3)]
    await settle()
    for _ in range(20):
        sender = Claim(80)
        for _ in range(8):
            await room.grow(sender, 10, 0.1)
        assert sender.held == 80
        room.give_back(sender)
    for one in hostile:
        one.cancel()
    await asyncio.gather(*hostile, return_exceptions=True)


@in_a_loop
async def test_all_come_to_their_ends_however_they_take_turns() -> None:
    room, ended = BodyRoom(100), []

    async def send(size: int) -> None:
        sender = Claim(size)
        while sender.held < size:
            await room.grow(sender, 7, 60)
            await asyncio.sleep(0)
        ended.append(size)
        room.give_back(sender)

    sizes = [40, 100, 27, 60, 33, 90, 1, 55] * 5
    async with asyncio.timeout(10):
        await asyncio.gather(*map(send, sizes))
    assert sorted(ended) == sorted(sizes)
    assert room._free == 100
    assert not room._claims


@in_a_loop
async def test_who_has_room_is_not_kept_by_those_who_wait_for_some() -> None:
    room = BodyRoom(100)
    first, new = Claim(90), Claim(90)
    await room.grow(first, 50, 60)
    waiting = asyncio.create_task(room.grow(new, 90, 60))
    await settle()
    await room.grow(first, 40, 60)
    assert not waiting.done()
    room.give_back(first)
    await waiting
    assert new.held == 90


@in_a_loop
async def test_bodies_of_unknown_length_share_the_room() -> None:
    room = BodyRoom(4 * GUESS)
    senders = [Claim() for _ in range(3)]
    for _ in range(GUESS // 2**20):
        for sender in senders:
            await room.grow(sender, 2**20, 0.1)
    assert [sender.held for sender in senders] == [GUESS] * 3
    with pytest.raises(Overloaded):
        for _ in range(GUESS // 2**20 + 1):
            for sender in senders:
                await room.grow(sender, 2**20, 0)


@in_a_loop
async def test_more_than_there_is_waits_to_be_alone() -> None:
    room, large, small = BodyRoom(100), Claim(500), Claim(1)
    await room.grow(large, 500, 60)
    assert large.held == 100
    with pytest.raises(Overloaded):
        await room.grow(small, 1, 0)
    room.give_back(large)
    await room.grow(small, 1, 0)


@in_a_loop
async def test_a_wait_that_ends_leaves_the_room_as_it_was() -> None:
    room, first, other = BodyRoom(100), Claim(100), Claim(60)
    await room.grow(first, 100, 60)
    with pytest.raises(Overloaded):
        await room.grow(Claim(10), 10, 0)
    leaving = asyncio.create_task(room.grow(Claim(70), 70, 60))
    staying = asyncio.create_task(room.grow(other, 60, 60))
    await settle()
    leaving.cancel()
    # Given back while the one that leaves has not run again.
    room.give_back(first)
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (other.held, room._free) == (60, 40)


@in_a_loop
async def test_room_granted_to_one_that_leaves_is_given_on() -> None:
    room, first = BodyRoom(100), Claim(100)
    await room.grow(first, 100, 60)
    leaving = asyncio.create_task(room.grow(Claim(100), 100, 60))
    await settle()
    room.give_back(first)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (room._free, room._claims) == (100, set())


def test_pixels_wait_their_turn() -> None:
    room, order, begun = PixelRoom(100), [], threading.Semaphore(0)

    def take(name: str, size: int) -> None:
        begun.release()
        with room.claim(size, Patience(60)):
            order.append(name)

    with room.claim(80, Patience(60)):
        threads = []
        for name, size in (("b", 50), ("c", 10)):
            threads.append(threading.Thread(target=take, args=(name, size)))
            threads[-1].start()
            begun.acquire()
            while len(room._waiting) < len(threads):
                pass
        assert order == []
    for thread in threads:
        thread.join()
    assert order == ["b", "c"]


def test_an_image_larger_than_the_room_is_alone() -> None:
    room = PixelRoom(100)
    with (
        room.claim(1000, Patience(60)),
        pytest.raises(DeadlineExceeded),
        room.claim(1, Patience(0)),
    ):
        pass
    with room.claim(100, Patience()):
        pass


def test_pixels_that_fail_give_their_room_back() -> None:
    room = PixelRoom(100)
    for _ in range(3):
        with pytest.raises(ValueError), room.claim(100, Patience()):
            raise ValueError


def test_one_that_leaves_while_it_waits_for_room_is_woken() -> None:
    room, patience = PixelRoom(100), Patience()
    with room.claim(100, Patience()), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(room.claim(10, patience).__enter__)
        while not room._waiting:
            pass
        patience.leave()
        with pytest.raises(CallerLeft):
            waiting.result(timeout=30)
    with room.claim(100, Patience(0.1)):
        pass


@in_a_loop
async def test_one_that_finds_no_room_is_told_when_to_come_again() -> None:
    room = BodyRoom(10, lambda: 7.5)
    await room.grow(Claim(10), 10, 0)
    with pytest.raises(Overloaded) as refused:
        await room.grow(Claim(1), 1, 0)
    assert refused.value.headers == {"Retry-After": "8"}
