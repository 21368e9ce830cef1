import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.cancellation import CancelToken
from service.errors import CallerLeft, DeadlineExceeded, Overloaded
from service.imaging.tiles import Tile
from service.inference import scheduler as scheduler_module
from service.inference.batching import BATCH_SIZES
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from tests.identity_net import TILE, identity_contract, write_identity_net
from tests.recorder import Recorder, recorded, tiles_of, until
from tests.waiting import HANG_S, comes_true

pytestmark = pytest.mark.integration


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.open(write_identity_net(tmp_path / "net.onnx"))


@pytest.fixture
def scheduler(session: Session) -> Iterator[TileScheduler]:
    scheduler = TileScheduler(session, runners=2)
    yield scheduler
    scheduler.close()


def test_answers_come_in_the_order_of_the_tiles(scheduler: TileScheduler) -> None:
    values = [0.1, 0.9, 0.5, 0.3, 0.7]
    answers = scheduler.run(tiles_of(*values), CancelToken(10))
    assert [float(answer.probability.mean()) for answer in answers] == pytest.approx(values)
    assert [answer.has_mask_logit for answer in answers] == pytest.approx(
        [4 * value - 2 for value in values]
    )


def test_no_tiles_is_no_answers(scheduler: TileScheduler) -> None:
    assert scheduler.run([], CancelToken(10)) == []


def test_callers_at_once_each_get_their_own(scheduler: TileScheduler) -> None:
    def ask(index: int) -> bool:
        value = index / 40
        answers = scheduler.run(tiles_of(value, value), CancelToken(30))
        return all(abs(float(answer.probability.max()) - value) < 1e-6 for answer in answers)

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(ask, range(40)))


def test_callers_take_turns(session: Session) -> None:
    recorder, scheduler = recorded(session, "cpu")
    recorder.hold()
    with ThreadPoolExecutor(3) as callers:
        crowd = callers.submit(scheduler.run, tiles_of(0.1, 0.1, 0.1, 0.1), CancelToken(30))
        recorder.begun.wait()
        second = callers.submit(scheduler.run, tiles_of(0.2, 0.2), CancelToken(30))
        until(5, scheduler)
        third = callers.submit(scheduler.run, tiles_of(0.3), CancelToken(30))
        until(6, scheduler)
        recorder.gate.set()
        assert [len(each.result()) for each in (crowd, second, third)] == [4, 2, 1]
    scheduler.close()
    assert [value for (value,) in recorder.runs] == [0.1, 0.1, 0.2, 0.3, 0.1, 0.2, 0.1]


def test_a_gpu_owner_mixes_callers_in_warmed_sizes_only(session: Session) -> None:
    recorder, scheduler = recorded(session, "cuda")
    assert recorder.batches == list(reversed(BATCH_SIZES["cuda"]))
    recorder.hold()
    with ThreadPoolExecutor(4) as callers:
        first = callers.submit(scheduler.run, tiles_of(0.5), CancelToken(30))
        recorder.begun.wait()
        rest = [callers.submit(scheduler.run, tiles_of(0.1, 0.2, 0.3), CancelToken(30))
                for _ in range(3)]  # fmt: skip
        until(9, scheduler)
        recorder.gate.set()
        assert len(first.result()) == 1
        for each in rest:
            values = [float(answer.probability.max()) for answer in each.result()]
            assert values == pytest.approx([0.1, 0.2, 0.3])
    scheduler.close()
    assert recorder.batches == [1, 16]
    assert recorder.runs[1][9:] == [0.0] * 7


def test_a_batch_holds_one_shape_and_every_shape_is_warmed(tmp_path: Path) -> None:
    contract = identity_contract()
    tiling = contract.tiling.model_copy(update={"narrower": ((TILE, 32),)})
    path = write_identity_net(tmp_path / "net.onnx", contract.model_copy(update={"tiling": tiling}))
    recorder, scheduler = recorded(Session.open(path), "cuda")
    assert sorted(recorder.batches) == sorted(2 * BATCH_SIZES["cuda"])
    recorder.hold()
    narrow = [Tile(0, 0, np.full((TILE, 32), 0.9, np.float32))] * 2
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(scheduler.run, tiles_of(0.5), CancelToken(30))
        recorder.begun.wait()
        wide = callers.submit(scheduler.run, tiles_of(0.1, 0.2), CancelToken(30))
        until(2, scheduler)
        slim = callers.submit(scheduler.run, narrow, CancelToken(30))
        until(4, scheduler)
        recorder.gate.set()
        assert first.result() and len(wide.result()) == 2
        assert {answer.probability.shape for answer in slim.result()} == {(TILE, 32)}
    scheduler.close()
    assert recorder.batches == [1, 2, 2]


def test_where_any_shape_may_come_only_the_largest_is_warmed(tmp_path: Path) -> None:
    contract = identity_contract()
    tiling = contract.tiling.model_copy(update={"narrower": ((TILE, 32),), "whole": True})
    path = write_identity_net(tmp_path / "net.onnx", contract.model_copy(update={"tiling": tiling}))
    recorder, scheduler = recorded(Session.open(path), "cpu")
    scheduler.close()
    assert recorder.batches == [1]


def test_a_deadline_drops_what_has_not_begun(session: Session) -> None:
    recorder, scheduler = recorded(session, "cpu")
    recorder.hold()
    with ThreadPoolExecutor(1) as caller:
        stuck = caller.submit(scheduler.run, tiles_of(0.5), CancelToken(30))
        recorder.begun.wait()
        with pytest.raises(DeadlineExceeded):
            scheduler.run(tiles_of(0.1, 0.2), CancelToken(0.1))
        assert scheduler.waiting == 0
        recorder.gate.set()
        assert len(stuck.result()) == 1
    assert len(scheduler.run(tiles_of(0.3), CancelToken(10))) == 1
    scheduler.close()
    assert recorder.batches == [1, 1]


def test_a_caller_that_leaves_takes_its_tiles_along(session: Session) -> None:
    recorder, scheduler = recorded(session, "cpu")
    recorder.hold()
    token = CancelToken()
    with ThreadPoolExecutor(2) as callers:
        leaving = callers.submit(scheduler.run, tiles_of(0.1, 0.2, 0.3), token)
        recorder.begun.wait()
        staying = callers.submit(scheduler.run, tiles_of(0.4), CancelToken(30))
        until(3, scheduler)
        token.cancel()
        with pytest.raises(CallerLeft):
            leaving.result(timeout=30)
        assert scheduler.waiting == 1
        recorder.gate.set()
        assert len(staying.result()) == 1
    scheduler.close()
    assert recorder.runs == [[0.1], [0.4]]


@pytest.mark.parametrize("pays", [True, False])
def test_a_lone_tile_gets_more_threads_where_that_pays(
    session: Session, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "wide_pays", lambda narrow, wide: pays)
    wide = Recorder(session, "cpu")
    recorder, scheduler = recorded(session, "cpu", runners=2, wide=wide)
    for each in (recorder, wide):
        each.runs.clear()
    scheduler.run(tiles_of(0.1), CancelToken(30))
    scheduler.run(tiles_of(0.2, 0.3), CancelToken(30))
    scheduler.run(tiles_of(0.4), CancelToken(30))
    scheduler.close()
    assert [value for (value,) in wide.runs if value in (0.1, 0.4)] == [0.1, 0.4] * pays
    # Of two at once, the first to be taken never is alone.
    assert [0.2] in recorder.runs


@pytest.mark.parametrize("has_wide", [True, False])
def test_the_widest_breast_is_run_once_and_before_all_else(
    session: Session, has_wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, warmed = Recorder(session, "cpu") if has_wide else None, list[tuple[object, bool]]()
    monkeypatch.setattr(scheduler_module, "wide_pays", lambda *_: True)
    monkeypatch.setattr(
        scheduler_module,
        "warm",
        lambda session, _, widest=True: warmed.append((session, widest)),
    )
    narrow, scheduler = recorded(session, "cpu", runners=2, wide=wide)
    scheduler.close()
    assert warmed == ([(wide, True), (narrow, False)] if has_wide else [(narrow, True)])


def test_while_another_runs_no_tile_is_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "wide_pays", lambda narrow, wide: True)
    wide = Recorder(session, "cpu")
    recorder, scheduler = recorded(session, "cpu", runners=2, wide=wide)
    wide.hold()
    recorder.runs.clear()
    with ThreadPoolExecutor(1) as caller:
        lone = caller.submit(scheduler.run, tiles_of(0.1), CancelToken(30))
        wide.begun.wait()
        scheduler.run(tiles_of(0.2), CancelToken(30))
        wide.gate.set()
        assert len(lone.result()) == 1
    scheduler.close()
    assert (recorder.runs, wide.runs) == ([[0.2]], [[0.1]])


def test_a_device_is_warmed_by_the_thread_that_serves(session: Session) -> None:
    recorder, scheduler = recorded(session, "cuda")
    scheduler.run(tiles_of(0.5), CancelToken(10))
    scheduler.close()
    assert len(set(recorder.threads)) == 1
    assert threading.get_ident() not in recorder.threads


def test_closing_answers_what_waits_and_takes_no_more(scheduler: TileScheduler) -> None:
    scheduler.close()
    with pytest.raises(Overloaded):
        scheduler.run(tiles_of(0.5), CancelToken(1))


def test_each_run_is_told_of_with_how_long_its_tiles_waited(scheduler: TileScheduler) -> None:
    runs: list[tuple[list[float], float]] = []
    scheduler.listen(lambda waited_s, seconds: runs.append((waited_s, seconds)))
    tiles = tiles_of(0.5, 0.7)
    scheduler.run(tiles, CancelToken(10))
    scheduler.close()
    assert sum(len(waited_s) for waited_s, _ in runs) == len(tiles)
    assert all(wait_s >= 0 for waited_s, _ in runs for wait_s in waited_s)
    assert all(0 < seconds < HANG_S for _, seconds in runs)


def test_a_runner_rests_while_another_net_runs_a_tile_in_its_place(session: Session) -> None:
    recorder, scheduler = recorded(session, "cpu", runners=2)
    recorder.gate.clear()
    recorder.runs.clear()
    with ThreadPoolExecutor(2) as callers:
        with scheduler.one_runner_less():
            answers = [
                callers.submit(scheduler.run, tiles_of(value), CancelToken())
                for value in (0.25, 0.5)
            ]
            ran_one = comes_true(lambda: scheduler._running == 1 and scheduler.waiting == 1)
        # Once it is over, the other takes what waits.
        ran_two = comes_true(lambda: scheduler._running == 2)
        recorder.gate.set()
        for answer in answers:
            answer.result(timeout=30)
    scheduler.close()
    assert ran_one and ran_two


ARENAS = """
import numpy as np
from onnx import TensorProto, helper
from service.inference.provider_setup import ON_CPU
from service.inference.session import _open_runtime

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

side = 3000
nodes = [
    helper.make_node("Exp", ["x"], ["a"]),
    helper.make_node("Neg", ["a"], ["b"]),
    helper.make_node("ReduceSum", ["b"], ["y"], keepdims=0),
]
given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [side, side])
made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
graph = helper.make_graph(nodes, "graph", [given], [made])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
sessions = [_open_runtime(model.SerializeToString(), ON_CPU, 1) for _ in range(4)]
image = np.zeros((side, side), np.float32) + 1
before = resident_mib()
for session in sessions:
    session.run(None, {"x": image})
    print(resident_mib() - before)
"""
"""Four sessions, whose runs take some 34 or 69 MiB each, one run after the other."""


def test_sessions_take_the_memory_of_their_runs_from_one_arena() -> None:
    run = subprocess.run([sys.executable, "-c", ARENAS], capture_output=True, text=True, check=True)
    first, *later = map(int, run.stdout.split())
    assert first >= 30
    assert max(later) < first + 20


def test_a_scheduler_that_is_closed_lets_go_of_its_sessions(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "wide_pays", lambda *_: True)
    wide = Session.open(write_identity_net(tmp_path / "wide.net.onnx"))
    runtimes = [weakref.ref(each._runtime) for each in (session, wide)]
    scheduler = TileScheduler(session, wide=wide)
    assert all(runtime() is not None for runtime in runtimes)
    scheduler.close()
    # Whoever still asks for the model holds the scheduler, not the weights.
    assert scheduler.model_info == session.model_info
    assert all(runtime() is None for runtime in runtimes)
