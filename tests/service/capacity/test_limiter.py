import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.buffer_pool import BufferPool
from service.cancellation import CancelToken
from service.capacity.limiter import RequestLimiter
from service.capacity.plan import BYTES_PER_PIXEL, MemoryPlan
from service.errors import CallerLeft, DeadlineExceeded, Overloaded
from service.metrics import Metrics
from tests.service.capacity.test_budget import in_a_loop

pytestmark = pytest.mark.unit

PLAN = MemoryPlan(readers=1, reader_mib=1, bodies_mib=1, pixels_mib=1)


def limiter_of(slots: int) -> RequestLimiter:
    return RequestLimiter(
        slots=slots, workers=1, memory=PLAN, buffers=BufferPool(0), timeout_s=60, metrics=Metrics()
    )


@pytest.fixture
def limiter() -> Iterator[RequestLimiter]:
    limiter = limiter_of(slots=2)
    yield limiter
    limiter.close()


async def stay() -> None:
    await asyncio.Event().wait()


class Task:
    """Works until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        self.let_go.wait()
        return "done"


def test_a_task_that_is_done_is_answered(limiter: RequestLimiter) -> None:
    @in_a_loop
    async def scenario() -> None:
        assert await limiter.work_for(stay(), limiter.new_token(), lambda: 7) == 7
        with pytest.raises(ValueError, match="seven"):
            await limiter.work_for(stay(), limiter.new_token(), lambda: int("seven"))

    scenario()


def test_who_leaves_before_a_thread_is_free_costs_nothing(limiter: RequestLimiter) -> None:
    @in_a_loop
    async def scenario() -> None:
        busy, never, leaves = Task(), Task(), asyncio.Event()
        first = asyncio.create_task(limiter.work(busy))
        await asyncio.to_thread(busy.begun.wait)
        left = asyncio.create_task(limiter.work_for(
            as_coroutine(leaves), limiter.new_token(), never))  # fmt: skip
        await asyncio.sleep(0)
        leaves.set()
        with pytest.raises(CallerLeft):
            await left
        busy.let_go.set()
        assert await first == "done"
        assert not never.begun.is_set()

    scenario()


def test_who_leaves_is_waited_for_until_the_task_lets_go(limiter: RequestLimiter) -> None:
    @in_a_loop
    async def scenario() -> None:
        token, leaves, begun = limiter.new_token(), asyncio.Event(), threading.Event()
        condition = threading.Condition()

        def task() -> None:
            begun.set()
            with condition:
                token.wait_for(condition, lambda: False)

        working = asyncio.create_task(limiter.work_for(as_coroutine(leaves), token, task))
        await asyncio.to_thread(begun.wait)
        leaves.set()
        with pytest.raises(CallerLeft):
            await working

    scenario()


def test_the_deadline_covers_the_wait_for_a_thread() -> None:
    limiter = RequestLimiter(
        slots=2, workers=1, memory=PLAN, buffers=BufferPool(0), timeout_s=0.05, metrics=Metrics()
    )

    @in_a_loop
    async def scenario() -> None:
        busy, never = Task(), Task()
        first = asyncio.create_task(limiter.work(busy))
        await asyncio.to_thread(busy.begun.wait)
        with pytest.raises(DeadlineExceeded):
            await limiter.work_for(stay(), limiter.new_token(), never)
        busy.let_go.set()
        await first
        assert not never.begun.is_set()

    scenario()
    limiter.close()


def test_beyond_the_slots_callers_are_told_when_to_come_again(
    limiter: RequestLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("service.capacity.rate.time.monotonic", lambda: now[0])
    for _ in range(200):
        with limiter._rate.at_work():
            now[0] += 2.0
    with limiter.slot(), limiter.slot(), pytest.raises(Overloaded) as refused, limiter.slot():
        pass
    assert refused.value.headers == {"Retry-After": "4"}


def test_idle_time_and_failures_do_not_slow_the_measured_pace(
    limiter: RequestLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("service.capacity.rate.time.monotonic", lambda: now[0])
    rate = limiter._rate
    assert rate.seconds_for(3) == 3.0
    for _ in range(5):
        now[0] += 1000.0
        with rate.at_work(), rate.at_work():
            now[0] += 0.5
        with pytest.raises(KeyError), rate.at_work():
            raise KeyError
    assert 0.0 < rate.seconds_for(1) <= 0.5


def test_who_sends_slowly_keeps_no_slot(limiter: RequestLimiter) -> None:
    with ExitStack() as senders:
        slow = [senders.enter_context(limiter.receiving("images")) for _ in range(50)]
        with limiter.receiving("images") as one, limiter.receiving("images") as two:
            one.take()
            two.take()
            with pytest.raises(Overloaded):
                slow[0].take()
            with pytest.raises(Overloaded), limiter.receiving("images"):
                pass
            with limiter.receiving("instances"):
                pass
        slow[0].take()


def test_each_door_has_its_share_of_the_connections(limiter: RequestLimiter) -> None:
    with ExitStack() as senders:
        for door, most in (("images", 256), ("instances", 64)):
            for _ in range(most):
                senders.enter_context(limiter.receiving(door))  # type: ignore[arg-type]
            with pytest.raises(Overloaded), limiter.receiving(door):  # type: ignore[arg-type]
                pass
    with limiter.receiving("images"), limiter.receiving("instances"):
        pass


def test_a_lame_duck_still_takes_what_comes(limiter: RequestLimiter) -> None:
    limiter.leaving = True
    with limiter.slot():
        pass
    limiter.draining = True
    with pytest.raises(Overloaded), limiter.slot():
        pass


async def as_coroutine(event: asyncio.Event) -> None:
    await event.wait()


def test_who_waits_for_a_thread_is_counted_and_who_leaves_waits_no_more() -> None:
    metrics = Metrics()
    value = metrics.registry.get_sample_value
    limiter = RequestLimiter(
        slots=2, workers=1, memory=PLAN, buffers=BufferPool(0), timeout_s=60, metrics=metrics
    )

    @in_a_loop
    async def scenario() -> None:
        busy, leaves = Task(), asyncio.Event()
        first = asyncio.create_task(limiter.work(busy))
        await asyncio.to_thread(busy.begun.wait)
        waiting = limiter.work_for(as_coroutine(leaves), limiter.new_token(), Task())
        left = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        assert value("mammoseg_queue_length") == 1
        leaves.set()
        with pytest.raises(CallerLeft):
            await left
        assert value("mammoseg_queue_length") == 0
        busy.let_go.set()
        await first

    scenario()
    limiter.close()
    assert value("mammoseg_queue_seconds_count") == 1
    assert value("mammoseg_slots") == 2


def test_what_is_lent_is_what_is_asked_for_and_no_image_has_it() -> None:
    plan = MemoryPlan(readers=1, reader_mib=1, bodies_mib=1, pixels_mib=10)
    limiter = RequestLimiter(
        slots=2, workers=1, memory=plan, buffers=BufferPool(0), timeout_s=60, metrics=Metrics()
    )
    pixels = (plan.pixels_mib - 3 << 20) // BYTES_PER_PIXEL
    with limiter.memory(3):
        with limiter.pixels(pixels, CancelToken(0.0)):
            pass
        with pytest.raises(DeadlineExceeded), limiter.pixels(pixels + 1, CancelToken(0.0)):
            pass
    with limiter.pixels(plan.pixels_mib << 20, CancelToken(0.0)):
        pass
    limiter.close()


def test_what_takes_more_than_there_is_waits_for_all_images(limiter: RequestLimiter) -> None:
    with (
        limiter.memory(100 * PLAN.pixels_mib),
        pytest.raises(DeadlineExceeded),
        limiter.pixels(1, CancelToken(0.0)),
    ):
        pass
    with limiter.pixels(1, CancelToken(0.0)):
        pass
