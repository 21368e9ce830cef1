"""Readers that die, stall, answer rubbish or are stopped: what that costs the file."""

import math
import os
import signal
import struct
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.errors import Overloaded, UnreadableImage, UnsuitableImage
from service.reading.pool import ReaderPool
from service.reading.process import ReaderProcess
from service.reading.reader import ReadRequest
from tests.service.reading.pools import small_png, worker_pids
from tests.thinned import thinned
from tests.waiting import HANG_S, not_held_up

pytestmark = pytest.mark.integration


def test_a_worker_that_died_idle_costs_nobody_anything(workers: ReaderPool) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    for _ in range(4):
        assert workers.read(ReadRequest(small_png())).rows == 64
    assert not set(before) & set(worker_pids())


def test_a_worker_killed_at_work_costs_the_file_a_second_try(
    workers: ReaderPool, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()

    def kill_the_busy_one() -> None:
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            for pid in worker_pids():
                if psutil.Process(pid).cpu_times().user > idle_time[pid]:
                    os.kill(pid, signal.SIGKILL)
                    return

    idle_time = {pid: psutil.Process(pid).cpu_times().user for pid in worker_pids()}
    killer = threading.Thread(target=kill_the_busy_one)
    killer.start()
    for _ in range(60):
        assert workers.read(ReadRequest(body)).rows == 4432
        if not killer.is_alive():
            break
    killer.join()
    assert not set(idle_time) <= set(worker_pids())
    assert workers.read(ReadRequest(small_png())).rows == 64
    assert len(worker_pids()) == 2


def test_a_file_that_two_workers_die_of_is_refused(mortal: ReaderPool) -> None:
    for _ in range(2):
        with pytest.raises(UnreadableImage) as caught:
            mortal.read(ReadRequest(b"deadly"))
        assert caught.value.code == "decode-failed"
        assert mortal.read(ReadRequest(small_png())).rows == 64
    assert len(worker_pids()) == 1


def test_a_fault_of_a_fast_decoder_costs_the_file_nothing(mortal: ReaderPool) -> None:
    with pytest.raises(UnreadableImage) as caught:
        mortal.read(ReadRequest(b"deadly if sandboxed"))
    # What the second, careful attempt says of it.
    assert caught.value.code == "not-an-image"


def test_both_attempts_share_one_deadline(
    mortal: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def die(*_: object, sandboxed: bool, until: float, **__: object) -> None:
        attempts.append((sandboxed, until))
        raise EOFError

    with monkeypatch.context() as patch:
        patch.setattr(ReaderProcess, "read", die)
        with pytest.raises(UnreadableImage):
            mortal.read(ReadRequest(small_png()))
    (first, second) = attempts
    assert (first[0], second[0]) == (True, False)
    assert first[1] == second[1]


def test_a_worker_that_does_not_return_is_ended_at_the_deadline(mortal: ReaderPool) -> None:
    (before,) = worker_pids()
    mortal._deadline_s = 0.2
    with pytest.raises(UnsuitableImage) as caught:
        mortal.read(ReadRequest(b"endless"))
    assert caught.value.code == "decode-limit"
    assert not psutil.pid_exists(before)
    mortal._deadline_s = 20
    assert mortal.read(ReadRequest(small_png())).rows == 64


def test_where_no_process_can_be_started_the_caller_may_come_back(
    mortal: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> ReaderProcess:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr("service.reading.pool.start_reader", refuse)
        for body in (b"deadly", small_png()):
            with pytest.raises(Overloaded) as caught:
                mortal.read(ReadRequest(body))
            assert caught.value.code == "no-reader"
    assert mortal.read(ReadRequest(small_png())).rows == 64


def test_a_file_is_not_blamed_where_the_second_worker_is_not_there_in_time(
    mortal: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = ReaderProcess.is_ready

    def too_late(process: ReaderProcess, until: float = math.inf) -> bool:
        return until == math.inf and ready(process)

    with monkeypatch.context() as patch:
        patch.setattr(ReaderProcess, "is_ready", too_late)
        with pytest.raises(Overloaded) as caught:
            mortal.read(ReadRequest(b"deadly"))
        assert caught.value.code == "no-reader"
    assert mortal.read(ReadRequest(small_png())).rows == 64


@pytest.mark.parametrize("kind", thinned(["", "no message"], 2))
def test_a_worker_that_answers_rubbish_is_replaced(mortal: ReaderPool, kind: str) -> None:
    (before,) = worker_pids()
    rubbish = struct.pack("<I", len(kind)) + kind.encode()
    with pytest.raises(UnreadableImage) as caught:
        mortal.read(ReadRequest(b"say:" + rubbish))
    assert caught.value.code == "decode-failed"
    assert not psutil.pid_exists(before)
    for _ in range(2):
        assert mortal.read(ReadRequest(small_png())).rows == 64
    # Once, it costs the file a second try, and this one is no image.
    with pytest.raises(UnreadableImage) as caught:
        mortal.read(ReadRequest(b"once:" + rubbish))
    assert caught.value.code == "not-an-image"
    assert len(worker_pids()) == 1


@pytest.mark.long
def test_a_worker_that_says_half_a_word_is_ended_at_the_deadline(mortal: ReaderPool) -> None:
    mortal._deadline_s = 0.5
    with not_held_up(), pytest.raises(UnsuitableImage) as caught:
        mortal.read(ReadRequest(b"say:\0\0\1\0half"))
    assert caught.value.code == "decode-limit"
    mortal._deadline_s = 20
    assert mortal.read(ReadRequest(small_png())).rows == 64


@pytest.mark.long
def test_idle_workers_that_are_stopped_are_replaced(workers: ReaderPool) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(4):
        assert workers.read(ReadRequest(small_png())).rows == 64
    assert not set(before) & set(worker_pids())


@pytest.mark.long
def test_a_worker_stopped_at_work_costs_the_file_nothing(
    mortal: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pid,) = worker_pids()
    take = ReaderProcess.read

    def stop_the_first(worker: ReaderProcess, *arguments: Any, **options: Any) -> Any:
        if worker.process.pid == pid:
            os.kill(pid, signal.SIGSTOP)
        return take(worker, *arguments, **options)

    monkeypatch.setattr(ReaderProcess, "read", stop_the_first)
    assert mortal.read(ReadRequest(small_png())).rows == 64
    assert not psutil.pid_exists(pid)


@pytest.mark.long
def test_while_workers_are_stopped_the_caller_may_come_back(
    mortal: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fault of the file's: 503, neither 422 nor 400."""
    take = ReaderProcess.read

    def stop_and_read(worker: ReaderProcess, *arguments: Any, **options: Any) -> Any:
        os.kill(worker.process.pid, signal.SIGSTOP)
        return take(worker, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ReaderProcess, "read", stop_and_read)
        for deadline_s in (0.3, 10 * HANG_S):
            mortal._deadline_s = deadline_s
            with not_held_up(), pytest.raises(Overloaded) as caught:
                mortal.read(ReadRequest(small_png()))
            assert caught.value.code == "no-reader"
    assert mortal.read(ReadRequest(small_png())).rows == 64


@pytest.mark.long
def test_workers_that_are_stopped_keep_nobody_from_closing(workers: ReaderPool) -> None:
    for pid in worker_pids():
        os.kill(pid, signal.SIGSTOP)
    workers.close()
    assert worker_pids() == []
