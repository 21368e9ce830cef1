import asyncio

import pytest
from starlette.types import Message

from service.api.turnstile import Turnstile
from tests.service.capacity.test_budget import in_a_loop

pytestmark = pytest.mark.unit


def rounds_of(callers: int, a_round: int) -> list[int]:
    """Return the round of the event loop in which each caller passed."""
    turnstile, passed = Turnstile(a_round), list[int]()

    async def scenario() -> None:
        now = 0

        async def caller() -> None:
            await turnstile.turn()
            passed.append(now)

        tasks = [asyncio.create_task(caller()) for _ in range(callers)]
        while len(passed) < callers:
            await asyncio.sleep(0)
            now += 1
        await asyncio.gather(*tasks)

    in_a_loop(scenario)()
    return passed


def test_no_round_takes_more_than_its_few() -> None:
    passed = rounds_of(callers=11, a_round=3)
    assert max(passed.count(now) for now in passed) == 3
    assert passed == sorted(passed) and len(passed) == 11


def test_few_callers_do_not_wait() -> None:
    assert rounds_of(callers=3, a_round=3) == [0, 0, 0]


@in_a_loop
async def test_one_that_waits_for_bytes_keeps_nobody() -> None:
    turnstile, never = Turnstile(1), asyncio.Event()

    async def silent() -> Message:
        await never.wait()
        return {}

    async def talks() -> Message:
        return {"type": "http.request"}

    waiting = asyncio.ensure_future(turnstile.before(silent)())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert await turnstile.before(talks)() == {"type": "http.request"}
    waiting.cancel()


@in_a_loop
async def test_one_that_leaves_while_it_waits_costs_no_turn() -> None:
    turnstile = Turnstile(1)
    await turnstile.turn()
    left, stays = (asyncio.create_task(turnstile.turn()) for _ in range(2))
    await asyncio.sleep(0)
    left.cancel()
    async with asyncio.timeout(10):
        await stays
    assert left.cancelled() or left.done()
