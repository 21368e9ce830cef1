import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from service.errors import MammosegError, Overloaded, UnreadableImage, UnsuitableImage
from service.imaging.dicom import JPEG_2000
from service.imaging.reader import ReadLimits
from service.imaging.reduced_decoding import ReducedDecoding
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.process import ReaderProcess
from service.reading.reader import InProcess, ReadRequest
from tests.dicom_files import dicom_file
from tests.hostile_reader import __file__ as HOSTILE

pytestmark = pytest.mark.integration

LIMITS = ReadLimits()


@pytest.fixture
def workers() -> Iterator[ReaderPool]:
    workers = ReaderPool(ReaderOptions(2, LIMITS, 512, deadline_s=20))
    yield workers
    workers.close()


def small_png(value: int = 100) -> bytes:
    pixels = np.zeros((64, 48), np.uint16)
    pixels[10:40, 5:30] = value * 200
    return bytes(cv2.imencode(".png", pixels)[1])


OTHERS: list[int] = []
"""Readers of other tests, which wait for the next of theirs."""


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    OTHERS.extend(worker_pids())
    yield
    OTHERS.clear()


def worker_pids() -> list[int]:
    children = psutil.Process().children()
    names = {"service.reading.worker", HOSTILE}
    pids = [child.pid for child in children if names & set(child.cmdline())]
    return [pid for pid in pids if pid not in OTHERS]


def test_a_worker_reads_what_this_process_reads(
    workers: ReaderPool, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()
    here, there = (
        InProcess(LIMITS).read(ReadRequest(body)),
        workers.read(ReadRequest(body, "dicom")),
    )
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == np.uint16
    for name in ("laterality", "view_position", "intent", "sop_instance_uid", "caveats"):
        assert getattr(there, name) == getattr(here, name)


def test_a_worker_reads_no_more_than_is_wanted(workers: ReaderPool) -> None:
    body = dicom_file(syntax=min(JPEG_2000), PixelSpacing=[0.1, 0.1])
    half, here = ReducedDecoding(0.2, 0), InProcess(LIMITS)
    there = workers.read(ReadRequest(body, "dicom", reduction=half))
    np.testing.assert_array_equal(there.pixels, here.read(ReadRequest(body, reduction=half)).pixels)
    assert not np.array_equal(there.pixels, workers.read(ReadRequest(body, "dicom")).pixels)


def test_refusals_come_through_as_they_are(workers: ReaderPool) -> None:
    with pytest.raises(UnreadableImage) as caught:
        workers.read(ReadRequest(b"no image at all"))
    assert caught.value.code == "not-an-image"
    assert workers.read(ReadRequest(small_png())).rows == 64


def test_many_callers_each_get_their_own(workers: ReaderPool) -> None:
    def brightest(value: int) -> bool:
        expected = InProcess(LIMITS).read(ReadRequest(small_png(value)))
        return bool(
            np.array_equal(
                workers.read(ReadRequest(small_png(value), "png")).pixels, expected.pixels
            )
        )

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(brightest, range(1, 60)))


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
        deadline = time.monotonic() + 10
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


@pytest.fixture
def mortal() -> Iterator[ReaderPool]:
    """Readers with a decoder that faults on some bodies, as C code does."""
    options = ReaderOptions(1, LIMITS, 512, deadline_s=20)
    workers = ReaderPool(options, (sys.executable, "-I", HOSTILE))
    yield workers
    workers.close()


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


def test_workers_outlive_a_stop_of_the_whole_unit(workers: ReaderPool) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.2)
    assert workers.read(ReadRequest(small_png())).rows == 64
    assert worker_pids() == before


def test_a_file_that_takes_too_long_is_given_up(workers: ReaderPool) -> None:
    before = set(worker_pids())
    workers._deadline_s = 0.0
    with pytest.raises(UnsuitableImage) as caught:
        workers.read(ReadRequest(small_png()))
    assert caught.value.code == "decode-limit"
    workers._deadline_s = 20
    for _ in range(3):
        assert workers.read(ReadRequest(small_png())).rows == 64
    assert len(before & set(worker_pids())) == 1


def test_memory_is_bounded_and_the_next_file_is_read() -> None:
    bomb = bytes(cv2.imencode(".png", np.zeros((7000, 7000), np.uint16))[1])
    assert len(bomb) < 300_000
    workers = ReaderPool(ReaderOptions(1, LIMITS, 64, deadline_s=20))
    try:
        with pytest.raises(MammosegError) as caught:
            workers.read(ReadRequest(bomb))
        assert 400 <= caught.value.status < 500
        assert workers.read(ReadRequest(small_png())).rows == 64
    finally:
        workers.close()
    assert InProcess(LIMITS).read(ReadRequest(bomb)).rows == 7000


def test_closed_workers_are_gone_and_take_no_more(workers: ReaderPool) -> None:
    assert len(worker_pids()) == 2
    workers.close()
    assert worker_pids() == []
    with pytest.raises(Overloaded):
        workers.read(ReadRequest(small_png()))


def test_workers_end_with_their_service(tmp_path: Path) -> None:
    """Even when it is killed: the socket closes, and they leave."""
    code = (
        "import sys, time; from service.reading.pool import ReaderPool; "
        "from service.reading.options import ReaderOptions; "
        "from service.imaging.reader import ReadLimits; "
        "w = ReaderPool(ReaderOptions(1, ReadLimits(), 512, 1)); "
        "print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (child,) = psutil.Process(process.pid).children()
        process.kill()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_body_is_read_without_what_a_longer_one_left_behind(workers: ReaderPool) -> None:
    long = small_png() + b"\0" * 3_000_000
    for _ in range(4):
        assert workers.read(ReadRequest(long)).rows == 64
        with pytest.raises(UnreadableImage):
            workers.read(ReadRequest(small_png()[:100]))
        assert workers.read(ReadRequest(small_png())).rows == 64


def test_a_header_is_looked_at_in_a_worker(
    workers: ReaderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = dicom_file(PatientID="42")
    monkeypatch.setattr("service.imaging.source_header.parse", lambda *_: pytest.fail("here"))
    file = tmp_path / "file.dcm"
    file.write_bytes(body)
    with file.open("rb") as opened:
        there = workers.look_at_file(opened.fileno(), len(body))
    assert workers.look(body) == there
    assert there.header.dataset().PatientID == "42"
    with pytest.raises(MammosegError, match="not-dicom"):
        workers.look(b"no DICOM file at all")
    assert workers.read(ReadRequest(body, "dicom")).header == there.header


@pytest.mark.parametrize("kind", ["no message", ""])
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


def test_a_worker_that_says_half_a_word_is_ended_at_the_deadline(mortal: ReaderPool) -> None:
    mortal._deadline_s = 0.5
    began = time.monotonic()
    with pytest.raises(UnsuitableImage) as caught:
        mortal.read(ReadRequest(b"say:\0\0\1\0half"))
    assert caught.value.code == "decode-limit"
    assert time.monotonic() - began < 10
    mortal._deadline_s = 20
    assert mortal.read(ReadRequest(small_png())).rows == 64


def test_idle_workers_that_are_stopped_are_replaced(workers: ReaderPool) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(4):
        assert workers.read(ReadRequest(small_png())).rows == 64
    assert not set(before) & set(worker_pids())


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
        for deadline_s in (0.3, 20.0):
            mortal._deadline_s = deadline_s
            began = time.monotonic()
            with pytest.raises(Overloaded) as caught:
                mortal.read(ReadRequest(small_png()))
            assert caught.value.code == "no-reader"
            assert time.monotonic() - began < 15
    assert mortal.read(ReadRequest(small_png())).rows == 64


def test_workers_that_are_stopped_keep_nobody_from_closing(workers: ReaderPool) -> None:
    for pid in worker_pids():
        os.kill(pid, signal.SIGSTOP)
    workers.close()
    assert worker_pids() == []
