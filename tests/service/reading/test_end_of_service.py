"""A reader ends with its service, whatever it was doing; and not with a thread of it."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from service.errors import MammosegError
from service.imaging.reader import ReadLimits
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.reader import ReadRequest
from tests.hostile_reader import __file__ as HOSTILE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's"),
]

SERVICE = """
import sys, threading, time
from service.imaging.reader import ReadLimits
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.reader import ReadRequest
options = ReaderOptions(1, ReadLimits(), 512, deadline_s=600)
pool = ReaderPool(options, (sys.executable, "-I", sys.argv[1])).wait_until_ready()
asking = threading.Thread(target=lambda: pool.read(ReadRequest(b"endless")), daemon=True)
if sys.argv[2] == "busy":
    asking.start()
print("up", flush=True)
time.sleep(600)
"""


def is_gone(process: psutil.Process, within_s: float = 30.0) -> bool:
    """Wait until a process is gone, or waits for who asks how it ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("state", ["busy", "stopped", "idle"])
def test_a_reader_ends_with_a_service_that_is_killed(state: str) -> None:
    command = [sys.executable, "-c", SERVICE, HOSTILE, state]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"up\n"
        (reader,) = psutil.Process(service.pid).children()
        if state == "stopped":
            reader.suspend()
        time.sleep(0.5)
        service.kill()
    try:
        assert is_gone(reader)
    finally:
        if reader.is_running():
            os.kill(reader.pid, signal.SIGKILL)


def test_a_reader_outlives_the_thread_that_asked_for_it() -> None:
    options = ReaderOptions(1, ReadLimits(), 512, deadline_s=60)
    others = set(psutil.Process().children())
    pool = ReaderPool(options, (sys.executable, "-I", HOSTILE)).wait_until_ready()
    try:

        def have_it_replaced() -> None:
            with pytest.raises(MammosegError, match="decode-failed"):
                pool.read(ReadRequest(b"deadly"))

        asking = threading.Thread(target=have_it_replaced)
        asking.start()
        asking.join()
        (reader,) = set(psutil.Process().children()) - others
        with pytest.raises(MammosegError, match="not-an-image"):
            pool.read(ReadRequest(b"text"))
        assert set(psutil.Process().children()) - others == {reader}
    finally:
        pool.close()
