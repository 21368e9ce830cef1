import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, Overloaded
from service.imaging.tiles import Tile
from service.inference import scheduler as scheduler_module
from service.inference.scheduler import TileScheduler
from service.inference.session import Session, TileOutputs
from tests.identity_net import TILE, write_identity_net

pytestmark = pytest.mark.unit


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.open(write_identity_net(tmp_path / "net.onnx"))


@pytest.fixture
def scheduler(session: Session) -> Iterator[TileScheduler]:
    scheduler = TileScheduler(session, runners=2)
    yield scheduler
    scheduler.close()


def tiles_of(*values: float) -> list[Tile]:
    return [Tile(0, 0, np.full((TILE, TILE), value, np.float32)) for value in values]


class Recorder:
    """A session that remembers its batches, and can wait or fail."""

    def __init__(self, session: Session) -> None:
        self.contract = session.contract
        self.device = "cuda"
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self._session = session

    def run(self, tiles: NDArray[np.float32]) -> TileOutputs:
        self.gate.wait()
        self.batches.append(len(tiles))
        if self.fault:
            raise self.fault
        return self._session.run(tiles)


def test_answers_come_in_the_order_of_the_tiles(scheduler: TileScheduler) -> None:
    values = [0.1, 0.9, 0.5, 0.3, 0.7]
    answers = scheduler.run(tiles_of(*values), timeout_s=10)
    assert [float(answer.probability.mean()) for answer in answers] == pytest.approx(values)
    assert [answer.has_mask_logit for answer in answers] == pytest.approx(
        [4 * value - 2 for value in values]
    )


def test_no_tiles_is_no_answers(scheduler: TileScheduler) -> None:
    assert scheduler.run([], timeout_s=10) == []


def test_callers_at_once_each_get_their_own(scheduler: TileScheduler) -> None:
    def ask(index: int) -> bool:
        value = index / 40
        answers = scheduler.run(tiles_of(value, value), timeout_s=30)
        return all(abs(float(answer.probability.max()) - value) < 1e-6 for answer in answers)

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(ask, range(40)))


def test_a_gpu_owner_batches_what_waits_into_warmed_sizes_only(session: Session) -> None:
    recorder = Recorder(session)
    scheduler = TileScheduler(cast(Any, recorder), runners=1)
    assert recorder.batches == list(scheduler_module.BATCH_SIZES["cuda"])
    recorder.batches.clear()
    recorder.gate.clear()
    with ThreadPoolExecutor(4) as callers:
        first = callers.submit(scheduler.run, tiles_of(0.5), timeout_s=30)
        time.sleep(0.1)
        rest = [
            callers.submit(scheduler.run, tiles_of(0.1, 0.2, 0.3), timeout_s=30) for _ in range(3)
        ]
        time.sleep(0.2)
        recorder.gate.set()
        assert len(first.result()) == 1
        for each in rest:
            answers = each.result()
            values = [float(answer.probability.max()) for answer in answers]
            assert values == pytest.approx([0.1, 0.2, 0.3])
    scheduler.close()
    assert recorder.batches == [1, 16]


def test_a_deadline_drops_what_has_not_begun(session: Session) -> None:
    recorder = Recorder(session)
    scheduler = TileScheduler(cast(Any, recorder), runners=1)
    recorder.batches.clear()
    recorder.gate.clear()
    with ThreadPoolExecutor(1) as caller:
        stuck = caller.submit(scheduler.run, tiles_of(0.5), timeout_s=30)
        time.sleep(0.1)
        with pytest.raises(DeadlineExceeded):
            scheduler.run(tiles_of(0.1, 0.2), timeout_s=0.1)
        recorder.gate.set()
        assert len(stuck.result()) == 1
    assert len(scheduler.run(tiles_of(0.3), timeout_s=10)) == 1
    scheduler.close()
    assert recorder.batches == [1, 1]


def test_a_fault_of_the_net_reaches_its_caller_and_the_next_is_served(session: Session) -> None:
    recorder = Recorder(session)
    scheduler = TileScheduler(cast(Any, recorder), runners=1)
    recorder.fault = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        scheduler.run(tiles_of(0.5), timeout_s=10)
    recorder.fault = None
    assert len(scheduler.run(tiles_of(0.5), timeout_s=10)) == 1
    scheduler.close()


def test_closing_answers_what_waits_and_takes_no_more(scheduler: TileScheduler) -> None:
    scheduler.close()
    with pytest.raises(Overloaded):
        scheduler.run(tiles_of(0.5), timeout_s=1)
