import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from service.backoff import Backoff
from service.batch.bodies import look_at
from service.batch.results import NotWritten
from service.batch.run import ATTEMPTS, Batch, Task
from service.batch.sources import Source
from service.cancellation import CancelToken
from service.capacity.plan import MemoryPlan
from service.errors import DeviceFailed, Overloaded, UnsuitableImage
from service.segmenter import Segmenter, SegmentOptions

pytestmark = pytest.mark.unit

PIXELS = 2**20


class Scripted:
    """Stands in for a segmenter: does to each body what it is told."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self._act, self._lock = act, threading.Lock()
        self.now = self.most = self.calls = 0

    def segment(
        self, body: bytes, *, reserve_pixels: Callable[[int], None], token: CancelToken, **_: Any
    ) -> str:
        with self._lock:
            self.calls += 1
        reserve_pixels(PIXELS)
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self._act(int(body))
            token.raise_if_cancelled()
        finally:
            with self._lock:
                self.now -= 1
        return "findings"


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "service.batch.run.Backoff", lambda **_: Backoff(0.0, 0.0, attempts=ATTEMPTS)
    )


def files(folder: Path, count: int) -> list[Source]:
    made = []
    for number in range(count):
        path = folder / f"{number}.dcm"
        path.write_text(f"{number}")
        made.append(Source(path, str(number), True))
    return made


def batch(segmenter: Scripted, pixels_mib: int = 4096) -> Batch[Any, Any, str]:
    memory = MemoryPlan(readers=4, reader_mib=192, bodies_mib=128, pixels_mib=pixels_mib)
    task: Task[Any, Any, str] = Task(
        SegmentOptions(),
        lambda source: look_at(source.path, 2**20),
        lambda source, *_: source.name,
    )
    return Batch(cast(Segmenter, segmenter), task, memory, cores=4)


def test_outcomes_come_in_the_order_of_the_files_while_several_are_worked_on(
    tmp_path: Path,
) -> None:
    segmenter = Scripted(lambda number: time.sleep(0.02 * (5 - number % 5)))
    outcomes = list(batch(segmenter).run(files(tmp_path, 30)))
    assert [outcome.item.name for outcome in outcomes] == [str(number) for number in range(30)]
    assert 1 < segmenter.most <= 8


def test_no_more_images_are_worked_on_than_their_memory_allows(tmp_path: Path) -> None:
    # Twelve bytes a pixel: two images of a megapixel.
    segmenter = Scripted(lambda _: time.sleep(0.005))
    list(batch(segmenter, pixels_mib=25).run(files(tmp_path, 12)))
    assert segmenter.most == 2


def test_what_passes_is_tried_again_and_what_does_not_is_refused(tmp_path: Path) -> None:
    times: dict[int, int] = {}

    def act(number: int) -> None:
        times[number] = times.get(number, 0) + 1
        if (number == 0 and times[0] < ATTEMPTS) or number == 1:
            raise Overloaded("no-reader", "None.")
        if number == 2:
            raise UnsuitableImage("multi-frame", "Several.")

    outcomes = list(batch(Scripted(act)).run(files(tmp_path, 4)))
    assert [outcome.problem and outcome.problem[0] for outcome in outcomes] == [
        None, "no-reader", "multi-frame", None,
    ]  # fmt: skip
    assert times == {0: ATTEMPTS, 1: ATTEMPTS, 2: 1, 3: 1}


def test_what_cannot_be_had_is_told_from_what_is_refused_once_it_was_read(tmp_path: Path) -> None:
    def act(_: int) -> None:
        raise UnsuitableImage("intent", "Not for presentation.")

    there, gone = files(tmp_path, 2)
    gone.path.unlink()
    outcomes = list(batch(Scripted(act)).run([there, gone]))
    told = [(each.problem and each.problem[0], each.is_unavailable) for each in outcomes]
    assert told == [("intent", False), ("file-unreadable", True)]


@pytest.mark.parametrize("end", [DeviceFailed(), NotWritten("full")])
def test_what_no_image_survives_ends_the_run_and_begins_no_more(
    tmp_path: Path, end: Exception
) -> None:
    def act(number: int) -> None:
        time.sleep(0.01)
        if number == 3:
            raise end

    segmenter = Scripted(act)
    with pytest.raises(type(end)):
        list(batch(segmenter).run(files(tmp_path, 200)))
    assert segmenter.now == 0
    assert segmenter.calls < 50


def test_whoever_leaves_early_waits_for_what_is_in_work_alone(tmp_path: Path) -> None:
    segmenter = Scripted(lambda _: time.sleep(0.01))
    outcomes = batch(segmenter).run(files(tmp_path, 200))
    next(outcomes)
    outcomes.close()
    assert segmenter.now == 0
    assert segmenter.calls < 50
