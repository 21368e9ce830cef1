"""What becomes of callers when a run fails, and of the device."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from service.cancellation import CancelToken
from service.errors import DeviceError, DeviceFailed, Overloaded
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from tests.identity_net import write_identity_net
from tests.recorder import Recorder, recorded, tiles_of, until

pytestmark = pytest.mark.integration


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.open(write_identity_net(tmp_path / "net.onnx"))


def test_a_fault_of_the_net_reaches_its_caller_and_the_next_is_served(session: Session) -> None:
    recorder, scheduler = recorded(session, "cpu")
    recorder.fault = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        scheduler.run(tiles_of(0.5), CancelToken(10))
    recorder.fault = None
    assert len(scheduler.run(tiles_of(0.5), CancelToken(10))) == 1
    scheduler.close()


STICKY = RuntimeError("CUDA failure 700: an illegal memory access was encountered ; GPU=0")


def test_a_sticky_fault_of_the_device_ends_all_that_waits_and_all_that_comes(
    session: Session,
) -> None:
    recorder, scheduler = recorded(session, "cuda")
    recorder.hold()
    recorder.fault = STICKY
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(scheduler.run, tiles_of(0.5), CancelToken(30))
        recorder.begun.wait()
        # More than one batch holds: its rest waits when the device fails.
        second = callers.submit(scheduler.run, tiles_of(*[0.1] * 20), CancelToken(30))
        until(20, scheduler)
        assert not scheduler.failed
        recorder.gate.set()
        for each in (first, second):
            with pytest.raises(DeviceFailed) as told:
                each.result(timeout=30)
            assert (told.value.status, told.value.code) == (503, "device-failed")
            assert "700" not in str(told.value)
    assert scheduler.failed and scheduler.waiting == 0
    recorder.fault = None
    with pytest.raises(DeviceFailed):
        scheduler.run(tiles_of(0.5), CancelToken(10))
    scheduler.close()
    assert recorder.batches == [1]


def test_a_device_without_memory_answers_the_next(session: Session) -> None:
    recorder, scheduler = recorded(session, "cuda")
    recorder.fault = RuntimeError("CUDA failure 2: out of memory ; GPU=0")
    with pytest.raises(Overloaded) as told:
        scheduler.run(tiles_of(0.5), CancelToken(10))
    assert told.value.code == "device-memory"
    recorder.fault = None
    assert len(scheduler.run(tiles_of(0.5), CancelToken(10))) == 1
    assert not scheduler.failed
    scheduler.close()


@pytest.mark.parametrize("works", [True, False])
def test_after_a_fault_that_nobody_knows_the_device_must_prove_itself(
    session: Session, works: bool
) -> None:
    recorder, scheduler = recorded(session, "cuda")
    recorder.fault, recorder.once = RuntimeError("CUDNN_STATUS_EXECUTION_FAILED"), works
    with pytest.raises(RuntimeError if works else DeviceFailed):
        scheduler.run(tiles_of(0.5), CancelToken(10))
    assert scheduler.failed is not works
    scheduler.close()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_device_that_fails_while_it_is_warmed_stops_the_start(
    session: Session, device: str
) -> None:
    recorder = Recorder(session, device)
    recorder.fault = STICKY
    with pytest.raises(DeviceError, match="warmed: CUDA failure 700"):
        TileScheduler(cast(Any, recorder))
