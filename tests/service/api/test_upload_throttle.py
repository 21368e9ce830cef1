import asyncio

import pytest
from starlette.types import Message

from service.api.upload_throttle import UploadThrottle
from tests.service.capacity.test_budget import in_a_loop
from tests.waiting import HANG_S

pytestmark = pytest.mark.unit


def rounds_of(callers: int, a_round: int) -> list[int]:
    """Return the round of the event loop in which each caller passed."""
    throttle, passed = UploadThrottle(a_round), list[int]()

    async def scenario() -> None:
        now = 0

        async def caller() -> None:
            await throttle.turn()
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
    throttle, never = UploadThrottle(1), asyncio.Event()

    async def silent() -> Message:
        await never.wait()
        return {}

    async def talks() -> Message:
        return {"type": "http.request"}

    waiting = asyncio.ensure_future(throttle.before(silent)())
    await asyncio.sleep(0)
    async with asyncio.timeout(HANG_S):
        assert await throttle.before(talks)() == {"type": "http.request"}
    waiting.cancel()


@in_a_loop
async def test_one_that_leaves_while_it_waits_costs_no_turn() -> None:
    throttle = UploadThrottle(1)
    await throttle.turn()
    left, stays = (asyncio.create_task(throttle.turn()) for _ in range(2))
    await asyncio.sleep(0)
    left.cancel()
    async with asyncio.timeout(HANG_S):
        await stays
    assert left.cancelled() or left.done()
