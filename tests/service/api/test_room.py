import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.api.room import BodyRoom, PixelRoom
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

    async def take(name: str, size: int) -> None:
        await room.claim(size, 60)
        order.append(name)

    await take("first", 80)
    waiting = [asyncio.create_task(take(name, size)) for name, size in (("b", 50), ("c", 10))]
    await settle()
    # There is room for c, but b came before.
    assert order == ["first"]
    room.give_back(80)
    await asyncio.gather(*waiting)
    assert order == ["first", "b", "c"]


@in_a_loop
async def test_more_than_there_is_waits_to_be_alone() -> None:
    room = BodyRoom(100)
    assert await room.claim(500, 60) == 100
    with pytest.raises(Overloaded):
        room.claim_now(1)
    room.give_back(100)
    assert room.claim_now(100) == 100


@in_a_loop
async def test_a_wait_that_ends_leaves_the_room_as_it_was() -> None:
    room = BodyRoom(100)
    await room.claim(100, 60)
    with pytest.raises(Overloaded):
        await room.claim(10, 0)
    leaving = asyncio.create_task(room.claim(70, 60))
    staying = asyncio.create_task(room.claim(60, 60))
    await settle()
    leaving.cancel()
    # Given back while the one that leaves has not run again.
    room.give_back(100)
    assert await staying == 60
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert room.claim_now(40) == 40


@in_a_loop
async def test_room_granted_to_one_that_leaves_is_given_on() -> None:
    room = BodyRoom(100)
    await room.claim(100, 60)
    leaving = asyncio.create_task(room.claim(100, 60))
    await settle()
    room.give_back(100)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert room.claim_now(100) == 100


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
    room.claim_now(10)
    with pytest.raises(Overloaded) as refused:
        room.claim_now(1)
    assert refused.value.headers == {"Retry-After": "8"}
