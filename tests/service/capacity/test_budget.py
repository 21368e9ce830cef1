import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from service.cancellation import CancelToken
from service.capacity.budget import GUESS, BodyBudget, Claim, PixelBudget
from service.errors import CallerLeft, DeadlineExceeded, Overloaded
from tests.waiting import HANG_S

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
    budget, order = BodyBudget(100), []

    async def take(name: str, size: int) -> Claim:
        taken = Claim(size)
        await budget.grow(taken, size, 60)
        order.append(name)
        return taken

    first = await take("first", 80)
    waiting = [asyncio.create_task(take(name, size)) for name, size in (("b", 50), ("c", 10))]
    await settle()
    # There is no memory for b, which need not keep c waiting.
    assert order == ["first", "c"]
    waiting.append(asyncio.create_task(take("d", 50)))
    await settle()
    budget.give_back(first)
    await asyncio.gather(waiting[0])
    assert order == ["first", "c", "b"]
    budget.give_back(waiting[0].result())
    await waiting[2]


@in_a_loop
async def test_who_declares_much_and_sends_little_keeps_nobody_waiting() -> None:
    budget = BodyBudget(100)
    hostile = [asyncio.create_task(budget.grow(Claim(100), 1, 60)) for _ in range(3)]
    await settle()
    for _ in range(20):
        sender = Claim(80)
        for _ in range(8):
            await budget.grow(sender, 10, 0.1)
        assert sender.held == 80
        budget.give_back(sender)
    for one in hostile:
        one.cancel()
    await asyncio.gather(*hostile, return_exceptions=True)


@in_a_loop
async def test_all_come_to_their_ends_however_they_take_turns() -> None:
    budget, ended = BodyBudget(100), []

    async def send(size: int) -> None:
        sender = Claim(size)
        while sender.held < size:
            await budget.grow(sender, 7, 60)
            await asyncio.sleep(0)
        ended.append(size)
        budget.give_back(sender)

    sizes = [40, 100, 27, 60, 33, 90, 1, 55] * 5
    async with asyncio.timeout(HANG_S):
        await asyncio.gather(*map(send, sizes))
    assert sorted(ended) == sorted(sizes)
    assert budget._free == 100
    assert not budget._claims


@in_a_loop
async def test_who_has_memory_is_not_kept_by_those_who_wait_for_some() -> None:
    budget = BodyBudget(100)
    first, new = Claim(90), Claim(90)
    await budget.grow(first, 50, 60)
    waiting = asyncio.create_task(budget.grow(new, 90, 60))
    await settle()
    await budget.grow(first, 40, 60)
    assert not waiting.done()
    budget.give_back(first)
    await waiting
    assert new.held == 90


@in_a_loop
async def test_bodies_of_unknown_length_share_the_memory() -> None:
    budget = BodyBudget(4 * GUESS)
    senders = [Claim() for _ in range(3)]
    for _ in range(GUESS // 2**20):
        for sender in senders:
            await budget.grow(sender, 2**20, 0.1)
    assert [sender.held for sender in senders] == [GUESS] * 3
    with pytest.raises(Overloaded):
        for _ in range(GUESS // 2**20 + 1):
            for sender in senders:
                await budget.grow(sender, 2**20, 0)


@in_a_loop
async def test_more_than_there_is_waits_to_be_alone() -> None:
    budget, large, small = BodyBudget(100), Claim(500), Claim(1)
    await budget.grow(large, 500, 60)
    assert large.held == 100
    with pytest.raises(Overloaded):
        await budget.grow(small, 1, 0)
    budget.give_back(large)
    await budget.grow(small, 1, 0)


@in_a_loop
async def test_a_wait_that_ends_leaves_the_memory_as_it_was() -> None:
    budget, first, other = BodyBudget(100), Claim(100), Claim(60)
    await budget.grow(first, 100, 60)
    with pytest.raises(Overloaded):
        await budget.grow(Claim(10), 10, 0)
    leaving = asyncio.create_task(budget.grow(Claim(70), 70, 60))
    staying = asyncio.create_task(budget.grow(other, 60, 60))
    await settle()
    leaving.cancel()
    # Given back while the one that leaves has not run again.
    budget.give_back(first)
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (other.held, budget._free) == (60, 40)


@in_a_loop
async def test_memory_granted_to_one_that_leaves_is_given_on() -> None:
    budget, first = BodyBudget(100), Claim(100)
    await budget.grow(first, 100, 60)
    leaving = asyncio.create_task(budget.grow(Claim(100), 100, 60))
    await settle()
    budget.give_back(first)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (budget._free, budget._claims) == (100, set())


def test_pixels_wait_their_turn() -> None:
    budget, order, begun = PixelBudget(100), [], threading.Semaphore(0)

    def take(name: str, size: int) -> None:
        begun.release()
        with budget.claim(size, CancelToken(60)):
            order.append(name)

    with budget.claim(80, CancelToken(60)):
        threads = []
        for name, size in (("b", 50), ("c", 10)):
            threads.append(threading.Thread(target=take, args=(name, size)))
            threads[-1].start()
            begun.acquire()
            while len(budget._waiting) < len(threads):
                pass
        assert order == []
    for thread in threads:
        thread.join()
    assert order == ["b", "c"]


def test_while_memory_is_lent_who_fits_passes_who_must_wait_for_it() -> None:
    budget = PixelBudget(100)
    claims = {size: budget.claim(size, CancelToken(60)) for size in (80, 60, 50, 10)}

    def waiting(size: int) -> Future[None]:
        before = len(budget._waiting)
        future: Future[None] = threads.submit(claims[size].__enter__)
        while len(budget._waiting) == before and not future.done():
            pass
        return future

    with ThreadPoolExecutor(4) as threads:
        with budget.lend(40, CancelToken()):
            claims[50].__enter__()
            large, middle, small = waiting(80), waiting(60), waiting(10)
            # The small one would fit, but comes after one that need not wait for what is lent.
            assert not (large.done() or middle.done() or small.done())
            claims[50].__exit__(None, None, None)
            middle.result(timeout=30)
            assert not (large.done() or small.done())
        # Nothing is lent any more: now the small one, which would fit, waits for the large one.
        assert not (large.done() or small.done())
        claims[60].__exit__(None, None, None)
        for one in (large, small):
            one.result(timeout=30)


def test_an_image_larger_than_the_memory_is_alone() -> None:
    budget = PixelBudget(100)
    with (
        budget.claim(1000, CancelToken(60)),
        pytest.raises(DeadlineExceeded),
        budget.claim(1, CancelToken(0)),
    ):
        pass
    with budget.claim(100, CancelToken()):
        pass


def test_pixels_that_fail_give_their_memory_back() -> None:
    budget = PixelBudget(100)
    for _ in range(3):
        with pytest.raises(KeyError), budget.claim(100, CancelToken()):
            raise KeyError


def test_one_that_leaves_while_it_waits_for_memory_is_woken() -> None:
    budget, token = PixelBudget(100), CancelToken()
    with budget.claim(100, CancelToken()), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(budget.claim(10, token).__enter__)
        while not budget._waiting:
            pass
        token.cancel()
        with pytest.raises(CallerLeft):
            waiting.result(timeout=30)
    with budget.claim(100, CancelToken(0.1)):
        pass


@in_a_loop
async def test_one_that_finds_no_memory_is_told_when_to_come_again() -> None:
    budget = BodyBudget(10, lambda: 7.5)
    await budget.grow(Claim(10), 10, 0)
    with pytest.raises(Overloaded) as refused:
        await budget.grow(Claim(1), 1, 0)
    assert refused.value.headers == {"Retry-After": "8"}
