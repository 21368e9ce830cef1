"""A pool of readers: what they read, in what time and memory, and how they end."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from service.errors import DeviceError, MammosegError, Overloaded, UnreadableImage, UnsuitableImage
from service.imaging.reduced_decoding import ReducedDecoding
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.reader import InProcess, ReadRequest
from tests.dicom_files import dicom_file
from tests.service.reading.pools import LIMITS, small_png, worker_pids
from tests.thinned import thinned
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS
from tests.waiting import HANG_S, comes_true

pytestmark = pytest.mark.integration


def test_a_worker_reads_what_this_process_reads(
    unharmed: ReaderPool, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()
    here, there = (
        InProcess(LIMITS).read(ReadRequest(body)),
        unharmed.read(ReadRequest(body, "dicom")),
    )
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == np.uint16
    for name in ("laterality", "view_position", "intent", "sop_instance_uid", "caveats"):
        assert getattr(there, name) == getattr(here, name)


def test_a_worker_reads_no_more_than_is_wanted(unharmed: ReaderPool) -> None:
    body = dicom_file(syntax=JPEG_2000_LOSSLESS, PixelSpacing=[0.1, 0.1])
    half, here = ReducedDecoding(0.2), InProcess(LIMITS)
    there = unharmed.read(ReadRequest(body, "dicom", reduction=half))
    assert there.halved
    np.testing.assert_array_equal(there.pixels, here.read(ReadRequest(body, reduction=half)).pixels)
    assert not np.array_equal(there.pixels, unharmed.read(ReadRequest(body, "dicom")).pixels)


def test_refusals_come_through_as_they_are(unharmed: ReaderPool) -> None:
    with pytest.raises(UnreadableImage) as caught:
        unharmed.read(ReadRequest(b"no image at all"))
    assert caught.value.code == "not-an-image"
    assert unharmed.read(ReadRequest(small_png())).rows == 64


def test_many_callers_each_get_their_own(unharmed: ReaderPool) -> None:
    def brightest(value: int) -> bool:
        expected = InProcess(LIMITS).read(ReadRequest(small_png(value)))
        return bool(
            np.array_equal(
                unharmed.read(ReadRequest(small_png(value), "png")).pixels, expected.pixels
            )
        )

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(brightest, range(1, 60)))


@pytest.mark.parametrize("sign", thinned([signal.SIGTERM, signal.SIGINT, signal.SIGHUP], 3))
def test_workers_outlive_a_signal_to_the_whole_unit(
    sign: signal.Signals, workers: ReaderPool
) -> None:
    before = worker_pids()
    for pid in before:
        os.kill(pid, sign)
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
    workers = ReaderPool(ReaderOptions(1, LIMITS, 64, deadline_s=20)).wait_until_ready()
    try:
        with pytest.raises(MammosegError) as caught:
            workers.read(ReadRequest(bomb))
        assert 400 <= caught.value.status < 500
        assert workers.read(ReadRequest(small_png())).rows == 64
    finally:
        workers.close()
    assert InProcess(LIMITS).read(ReadRequest(bomb)).rows == 7000


@pytest.mark.long
def test_workers_come_up_while_their_service_does_other_things() -> None:
    starting = ReaderPool(ReaderOptions(2, LIMITS, 512, deadline_s=20))
    try:
        # Nobody waits for them, as long as a model takes to open.
        assert comes_true(lambda: starting.sandbox()["readers"])
        assert starting.wait_until_ready().read(ReadRequest(small_png())).rows == 64
    finally:
        starting.close()


def test_workers_that_do_not_come_up_are_said_and_gone() -> None:
    others = set(psutil.Process().children())
    command = (sys.executable, "-c", "input()")
    starting = ReaderPool(ReaderOptions(2, LIMITS, 512, deadline_s=20), command)
    with pytest.raises(DeviceError, match="do not start"):
        starting.wait_until_ready()
    assert set(psutil.Process().children()) <= others
    starting.close()


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
        "w = ReaderPool(ReaderOptions(1, ReadLimits(), 512, 1)).wait_until_ready(); "
        "print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (child,) = psutil.Process(process.pid).children()
        process.kill()
    psutil.wait_procs([child], timeout=HANG_S)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_body_is_read_without_what_a_longer_one_left_behind(unharmed: ReaderPool) -> None:
    long = small_png() + b"\0" * 3_000_000
    for _ in range(4):
        assert unharmed.read(ReadRequest(long)).rows == 64
        with pytest.raises(UnreadableImage):
            unharmed.read(ReadRequest(small_png()[:100]))
        assert unharmed.read(ReadRequest(small_png())).rows == 64


def test_a_header_is_looked_at_in_a_worker(
    unharmed: ReaderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = dicom_file(PatientID="42")
    monkeypatch.setattr("service.imaging.source_header.parse", lambda *_: pytest.fail("here"))
    file = tmp_path / "file.dcm"
    file.write_bytes(body)
    with file.open("rb") as opened:
        there = unharmed.look_at_file(opened.fileno(), len(body))
    assert unharmed.look(body) == there
    assert there.header.dataset().PatientID == "42"
    with pytest.raises(MammosegError, match="not-dicom"):
        unharmed.look(b"no DICOM file at all")
    assert unharmed.read(ReadRequest(body, "dicom")).header == there.header
