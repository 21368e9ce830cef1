import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.api.intake import Intake
from service.errors import CallerLeft, DeadlineExceeded, Overloaded
from service.memory import MemoryPlan
from service.metrics import Metrics
from service.slabs import Slabs
from tests.service.api.test_room import in_a_loop

pytestmark = pytest.mark.unit

PLAN = MemoryPlan(readers=1, reader_mib=1, bodies_mib=1, pixels_mib=1)


@pytest.fixture
def intake() -> Iterator[Intake]:
    intake = Intake(
        places=2, workers=1, memory=PLAN, slabs=Slabs(0), timeout_s=60, metrics=Metrics()
    )
    yield intake
    intake.close()


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


def test_a_task_that_is_done_is_answered(intake: Intake) -> None:
    @in_a_loop
    async def scenario() -> None:
        assert await intake.work_for(stay(), intake.patience(), lambda: 7) == 7
        with pytest.raises(ValueError, match="seven"):
            await intake.work_for(stay(), intake.patience(), lambda: int("seven"))

    scenario()


def test_who_leaves_before_a_thread_is_free_costs_nothing(intake: Intake) -> None:
    @in_a_loop
    async def scenario() -> None:
        busy, never, leaves = Task(), Task(), asyncio.Event()
        first = asyncio.create_task(intake.work(busy))
        await asyncio.to_thread(busy.begun.wait)
        left = asyncio.create_task(intake.work_for(
            as_coroutine(leaves), intake.patience(), never))  # fmt: skip
        await asyncio.sleep(0)
        leaves.set()
        with pytest.raises(CallerLeft):
            await left
        busy.let_go.set()
        assert await first == "done"
        assert not never.begun.is_set()

    scenario()


def test_who_leaves_is_waited_for_until_the_task_lets_go(intake: Intake) -> None:
    @in_a_loop
    async def scenario() -> None:
        patience, leaves, begun = intake.patience(), asyncio.Event(), threading.Event()
        condition = threading.Condition()

        def task() -> None:
            begun.set()
            with condition:
                patience.wait_for(condition, lambda: False)

        working = asyncio.create_task(intake.work_for(as_coroutine(leaves), patience, task))
        await asyncio.to_thread(begun.wait)
        leaves.set()
        with pytest.raises(CallerLeft):
            await working

    scenario()


def test_the_deadline_covers_the_wait_for_a_thread() -> None:
    intake = Intake(
        places=2, workers=1, memory=PLAN, slabs=Slabs(0), timeout_s=0.05, metrics=Metrics()
    )

    @in_a_loop
    async def scenario() -> None:
        busy, never = Task(), Task()
        first = asyncio.create_task(intake.work(busy))
        await asyncio.to_thread(busy.begun.wait)
        with pytest.raises(DeadlineExceeded):
            await intake.work_for(stay(), intake.patience(), never)
        busy.let_go.set()
        await first
        assert not never.begun.is_set()

    scenario()
    intake.close()


def test_beyond_the_places_callers_are_told_when_to_come_again(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("service.api.pace.time.monotonic", lambda: now[0])
    for _ in range(200):
        with intake._pace.at_work():
            now[0] += 2.0
    with intake.place(), intake.place(), pytest.raises(Overloaded) as refused, intake.place():
        pass
    assert refused.value.headers == {"Retry-After": "4"}


def test_idle_time_and_failures_do_not_slow_the_measured_pace(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("service.api.pace.time.monotonic", lambda: now[0])
    pace = intake._pace
    assert pace.seconds_for(3) == 3.0
    for _ in range(5):
        now[0] += 1000.0
        with pace.at_work(), pace.at_work():
            now[0] += 0.5
        with pytest.raises(ValueError), pace.at_work():
            raise ValueError
    assert 0.0 < pace.seconds_for(1) <= 0.5


def test_who_sends_slowly_keeps_no_place(intake: Intake) -> None:
    with ExitStack() as senders:
        slow = [senders.enter_context(intake.receiving("images")) for _ in range(50)]
        with intake.receiving("images") as one, intake.receiving("images") as two:
            one.take()
            two.take()
            with pytest.raises(Overloaded):
                slow[0].take()
            with pytest.raises(Overloaded), intake.receiving("images"):
                pass
            with intake.receiving("instances"):
                pass
        slow[0].take()


def test_each_door_has_its_share_of_the_connections(intake: Intake) -> None:
    with ExitStack() as senders:
        for door, most in (("images", 256), ("instances", 64)):
            for _ in range(most):
                senders.enter_context(intake.receiving(door))  # type: ignore[arg-type]
            with pytest.raises(Overloaded), intake.receiving(door):  # type: ignore[arg-type]
                pass
    with intake.receiving("images"), intake.receiving("instances"):
        pass


def test_a_lame_duck_still_takes_what_comes(intake: Intake) -> None:
    intake.leaving = True
    with intake.place():
        pass
    intake.draining = True
    with pytest.raises(Overloaded), intake.place():
        pass


async def as_coroutine(event: asyncio.Event) -> None:
    await event.wait()
