import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from service import reading
from service.errors import MammosegError, Overloaded, UnreadableImage, UnsuitableImage
from service.imaging.dicom import JPEG_2000
from service.imaging.reader import ReadLimits
from service.imaging.wanted_resolution import WantedResolution
from service.read_worker import Order
from service.reading import InProcess, Workers
from tests.dicom_files import dicom_file

pytestmark = pytest.mark.integration

LIMITS = ReadLimits()


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(count=2, limits=LIMITS, memory_mib=512, deadline_s=20)
    yield workers
    workers.close()


def small_png(value: int = 100) -> bytes:
    pixels = np.zeros((64, 48), np.uint16)
    pixels[10:40, 5:30] = value * 200
    return bytes(cv2.imencode(".png", pixels)[1])


def worker_pids() -> list[int]:
    children = psutil.Process().children()
    return [child.pid for child in children if "service.read_worker" in child.cmdline()]


def test_a_worker_reads_what_this_process_reads(workers: Workers, cbis_files: list[Path]) -> None:
    body = cbis_files[0].read_bytes()
    here, there = InProcess(LIMITS).read(body, None), workers.read(body, "dicom")
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == np.uint16
    for name in ("laterality", "view_position", "intent", "sop_instance_uid", "caveats"):
        assert getattr(there, name) == getattr(here, name)


def test_a_worker_reads_no_more_than_is_wanted(workers: Workers) -> None:
    body = dicom_file(syntax=min(JPEG_2000), PixelSpacing=[0.1, 0.1])
    half, here = WantedResolution(0.2, 0), InProcess(LIMITS)
    there = workers.read(body, "dicom", resolution=half)
    np.testing.assert_array_equal(there.pixels, here.read(body, None, resolution=half).pixels)
    assert not np.array_equal(there.pixels, workers.read(body, "dicom").pixels)


def test_refusals_come_through_as_they_are(workers: Workers) -> None:
    with pytest.raises(UnreadableImage) as caught:
        workers.read(b"no image at all", None)
    assert caught.value.code == "not-an-image"
    assert workers.read(small_png(), None).rows == 64


def test_many_callers_each_get_their_own(workers: Workers) -> None:
    def brightest(value: int) -> bool:
        expected = InProcess(LIMITS).read(small_png(value), None)
        return bool(np.array_equal(workers.read(small_png(value), "png").pixels, expected.pixels))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(brightest, range(1, 60)))


def test_a_worker_that_died_idle_costs_nobody_anything(workers: Workers) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    for _ in range(4):
        assert workers.read(small_png(), None).rows == 64
    assert not set(before) & set(worker_pids())


def test_a_worker_killed_at_work_costs_the_file_a_second_try(
    workers: Workers, cbis_files: list[Path]
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
        assert workers.read(body, None).rows == 4432
        if not killer.is_alive():
            break
    killer.join()
    assert not set(idle_time) <= set(worker_pids())
    assert workers.read(small_png(), None).rows == 64
    assert len(worker_pids()) == 2


DEADLY = r"""
import os, sys, time
from service import read_worker

def read_image(body, *arguments, sandboxed, **options):
    if body == b"deadly" or body == b"deadly if sandboxed" and sandboxed:
        os.abort()
    if body == b"endless":
        time.sleep(60)
    if body[:7] == b"rubbish" and (sandboxed or b"always" in bytes(body)):
        talk(bytes(body).split()[-1])
    return original(body, *arguments, sandboxed=sandboxed, **options)

def talk(what):
    say = {
        b"word": lambda: pipe.send("word"),
        b"bytes": lambda: pipe.send_bytes(b"no pickle"),
        b"unknown": lambda: pipe.send_bytes(b"cnowhere\nnothing\n."),
        b"error": lambda: pipe.send(MammosegError("internal", "of the service itself")),
        b"huge": lambda: pipe.send(Delivery(mammogram, (2**20, 2**20))),
        b"hollow": lambda: pipe.send(Delivery("mammogram", (2, 2))),
        b"written": lambda: (pipe.send(Delivery(mammogram, (2, 2))), pipe.send("done")),
        b"half": lambda: os.write(pipe.fileno(), b"\0\0\1\0half"),
    }
    say[what]()
    time.sleep(60)

from multiprocessing.connection import Connection
import numpy as np
from service.errors import MammosegError
from service.imaging.mammogram import Mammogram
from service.read_worker import Delivery
mammogram = Mammogram(np.empty((0, 0), np.uint16), None)
pipe = Connection(os.dup(int(sys.argv[1])))
original, read_worker.read_image = read_worker.read_image, read_image
read_worker.main(int(sys.argv[1]), 512)
"""
"""A worker with a decoder that faults on some bodies, as C code does."""


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    def start(_: int) -> reading._Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            given = theirs.fileno()
            command = [sys.executable, "-c", DEADLY, str(given), "service.read_worker"]
            process = subprocess.Popen(command, pass_fds=[given])
        return reading._Worker(process, Connection(ours.detach()))

    monkeypatch.setattr(reading, "_start", start)
    workers = Workers(count=1, limits=LIMITS, memory_mib=512, deadline_s=20)
    yield workers
    workers.close()


def test_a_file_that_two_workers_die_of_is_refused(mortal: Workers) -> None:
    for _ in range(2):
        with pytest.raises(UnreadableImage) as caught:
            mortal.read(b"deadly", None)
        assert caught.value.code == "decode-failed"
        assert mortal.read(small_png(), None).rows == 64
    assert len(worker_pids()) == 1


def test_a_fault_of_a_fast_decoder_costs_the_file_nothing(mortal: Workers) -> None:
    with pytest.raises(UnreadableImage) as caught:
        mortal.read(b"deadly if sandboxed", None)
    # What the second, careful attempt says of it.
    assert caught.value.code == "not-an-image"


def test_both_attempts_share_one_deadline(mortal: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def die(_: object, __: int, order: Order, ends: float, ___: object) -> None:
        attempts.append((order.sandboxed, ends))
        raise EOFError

    with monkeypatch.context() as patch:
        patch.setattr(reading._Worker, "read", die)
        with pytest.raises(UnreadableImage):
            mortal.read(small_png(), None)
    (first, second) = attempts
    assert (first[0], second[0]) == (True, False)
    assert first[1] == second[1]


def test_a_worker_that_does_not_return_is_ended_at_the_deadline(mortal: Workers) -> None:
    (before,) = worker_pids()
    mortal._deadline_s = 0.2
    with pytest.raises(UnsuitableImage) as caught:
        mortal.read(b"endless", None)
    assert caught.value.code == "decode-limit"
    assert not psutil.pid_exists(before)
    mortal._deadline_s = 20
    assert mortal.read(small_png(), None).rows == 64


def test_where_no_process_can_be_started_the_caller_may_come_back(
    mortal: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> reading._Worker:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_start", refuse)
        for body in (b"deadly", small_png()):
            with pytest.raises(Overloaded) as caught:
                mortal.read(body, None)
            assert caught.value.code == "no-reader"
    assert mortal.read(small_png(), None).rows == 64


def test_workers_outlive_a_stop_of_the_whole_unit(workers: Workers) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.2)
    assert workers.read(small_png(), None).rows == 64
    assert worker_pids() == before


def test_a_file_that_takes_too_long_is_given_up(workers: Workers) -> None:
    before = set(worker_pids())
    workers._deadline_s = 0.0
    with pytest.raises(UnsuitableImage) as caught:
        workers.read(small_png(), None)
    assert caught.value.code == "decode-limit"
    workers._deadline_s = 20
    for _ in range(3):
        assert workers.read(small_png(), None).rows == 64
    assert len(before & set(worker_pids())) == 1


def test_memory_is_bounded_and_the_next_file_is_read() -> None:
    bomb = bytes(cv2.imencode(".png", np.zeros((7000, 7000), np.uint16))[1])
    assert len(bomb) < 300_000
    workers = Workers(count=1, limits=LIMITS, memory_mib=64, deadline_s=20)
    try:
        with pytest.raises(MammosegError) as caught:
            workers.read(bomb, None)
        assert 400 <= caught.value.status < 500
        assert workers.read(small_png(), None).rows == 64
    finally:
        workers.close()
    assert InProcess(LIMITS).read(bomb, None).rows == 7000


def test_closed_workers_are_gone_and_take_no_more(workers: Workers) -> None:
    assert len(worker_pids()) == 2
    workers.close()
    assert worker_pids() == []
    with pytest.raises(Overloaded):
        workers.read(small_png(), None)


def test_workers_end_with_their_service(tmp_path: Path) -> None:
    """Even when it is killed: the socket closes, and they leave."""
    code = (
        "import sys, time; from service.reading import Workers; "
        "from service.imaging.reader import ReadLimits; "
        "w = Workers(count=1, limits=ReadLimits(), memory_mib=512, deadline_s=1); "
        "print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (child,) = psutil.Process(process.pid).children()
        process.kill()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_body_is_read_without_what_a_longer_one_left_behind(workers: Workers) -> None:
    long = small_png() + b"\0" * 3_000_000
    for _ in range(4):
        assert workers.read(long, None).rows == 64
        with pytest.raises(UnreadableImage):
            workers.read(small_png()[:100], None)
        assert workers.read(small_png(), None).rows == 64


def test_a_part_of_lent_memory_is_read_where_it_lies(workers: Workers) -> None:
    png, before = small_png(), mmap.ALLOCATIONGRANULARITY + 10
    buffer = workers.buffers.take(before + len(png) + 5)
    buffer.memory[before : before + len(png)] = png
    body = workers.buffers.lend_bytes(buffer, buffer.size)[before : before + len(png)]
    assert workers.read(body, None).rows == 64
    buffer.memory[before : before + 4] = b"none"
    with pytest.raises(UnreadableImage):
        workers.read(body, None)


def test_a_header_is_looked_at_in_a_worker(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert workers.read(body, "dicom").header == there.header


RUBBISH = ("word", "bytes", "unknown", "error", "huge", "hollow", "written")


@pytest.mark.parametrize("kind", RUBBISH)
def test_a_worker_that_answers_rubbish_is_replaced(mortal: Workers, kind: str) -> None:
    (before,) = worker_pids()
    with pytest.raises(UnreadableImage) as caught:
        mortal.read(f"rubbish always {kind}".encode(), None)
    assert caught.value.code == "decode-failed"
    assert not psutil.pid_exists(before)
    for _ in range(2):
        assert mortal.read(small_png(), None).rows == 64
    # Once, it costs the file a second try, and this one is no image.
    with pytest.raises(UnreadableImage) as caught:
        mortal.read(f"rubbish {kind}".encode(), None)
    assert caught.value.code == "not-an-image"
    assert len(worker_pids()) == 1


def test_a_worker_that_says_half_a_word_is_ended_at_the_deadline(mortal: Workers) -> None:
    mortal._deadline_s = 0.5
    began = time.monotonic()
    with pytest.raises(UnsuitableImage) as caught:
        mortal.read(b"rubbish always half", None)
    assert caught.value.code == "decode-limit"
    assert time.monotonic() - began < 10
    mortal._deadline_s = 20
    assert mortal.read(small_png(), None).rows == 64


def test_idle_workers_that_are_stopped_are_replaced(workers: Workers) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(4):
        assert workers.read(small_png(), None).rows == 64
    assert not set(before) & set(worker_pids())


def test_a_worker_stopped_at_work_costs_the_file_nothing(
    mortal: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pid,) = worker_pids()
    take = reading._Worker.read

    def stop_the_first(worker: reading._Worker, *arguments: object) -> object:
        if worker.process.pid == pid:
            os.kill(pid, signal.SIGSTOP)
        return take(worker, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reading._Worker, "read", stop_the_first)
    assert mortal.read(small_png(), None).rows == 64
    assert not psutil.pid_exists(pid)


def test_while_workers_are_stopped_the_caller_may_come_back(
    mortal: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fault of the file's: 503, neither 422 nor 400."""
    take = reading._Worker.read

    def stop_and_read(worker: reading._Worker, *arguments: object) -> object:
        os.kill(worker.process.pid, signal.SIGSTOP)
        return take(worker, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(reading._Worker, "read", stop_and_read)
        for deadline_s in (0.3, 20.0):
            mortal._deadline_s = deadline_s
            began = time.monotonic()
            with pytest.raises(Overloaded) as caught:
                mortal.read(small_png(), None)
            assert caught.value.code == "no-reader"
            assert time.monotonic() - began < 15
    assert mortal.read(small_png(), None).rows == 64


def test_workers_that_are_stopped_keep_nobody_from_closing(workers: Workers) -> None:
    for pid in worker_pids():
        os.kill(pid, signal.SIGSTOP)
    workers.close()
    assert worker_pids() == []
