"""The service that is soaked: started, killed, and started again as systemd does."""

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from service.system.server_process import wait_until_ready
from tests.ports import free_port
from tests.soak.ledger import Ledger

START_S = 300.0
"""A busy machine's; else some three."""

END_S = 180.0
"""After SIGTERM: over LAME_DUCK_S and DRAIN_S of the service."""

ORPHAN_S = 60.0
"""What a service leaves behind must be gone in this time."""

RESTART_S = 0.2
"""Between an end and the next start: RestartSec of a systemd unit."""

KILLED, ASKED = "killed", "asked to end"
_BECOME_SUBREAPER = 36

SETTINGS = {
    "device": "cpu",
    "memory_mib": "1280",
    "readers": "2",
    "runners": "1",
    # Timing must not decide: the machine may be busy with other things.
    "reader_deadline_s": "60",
    "deadline_s": "120",
    "drain_s": "90",
    "lame_duck_s": "0.5",
    "send_timeout_s": "30",
    "retry_first_s": "0.1",
    "retry_longest_s": "2",
    # A kill counts as an attempt of what was in work, and these kills are no image's fault.
    "inbox_attempts": "1000",
    "delivery_attempts": "1000",
}
MEMORY_MIB = int(SETTINGS["memory_mib"])


@dataclass(slots=True)
class Interruption:
    """A time in which the service is not there; `kind` is `KILLED` or `ASKED`."""

    kind: str
    start: float
    end: float = math.inf


def adopt_orphans() -> None:
    """Become the parent of what the services leave behind (Linux, prctl PR_SET_CHILD_SUBREAPER)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_BECOME_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Subject:
    """One service with its inbox.

    Parameters
    ----------
    name
        In the table.
    folder
        Where everything of it lies.
    model
        An ONNX file.
    destination
        URL of where results go.

    Attributes
    ----------
    interruptions
        When it was not to be there, by our own doing.
    reader_losses
        When readers were killed, monotonic seconds.
    lives
        How many processes were started, those included that were killed as they started.
    """

    def __init__(self, name: str, folder: Path, model: Path, destination: str) -> None:
        self.name, self.folder = name, folder
        self.port, self.ledger = free_port(), Ledger()
        self.url = f"http://127.0.0.1:{self.port}"
        self.inbox, self.log = folder / "inbox", folder / "service.log"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self.interruptions: list[Interruption] = []
        self.reader_losses: list[float] = []
        self.lives = 0
        self.process: subprocess.Popen[bytes] | None = None
        settings = SETTINGS | {
            "model": str(model),
            "destinations": destination,
            "inbox": str(self.inbox),
            "port": str(self.port),
        }
        self._environment = os.environ | {f"MAMMOSEG_{n.upper()}": v for n, v in settings.items()}
        self._environment["TMPDIR"] = str(self.temporary)

    @property
    def main(self) -> psutil.Process:
        """The service's own process."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    @property
    def readers(self) -> list[psutil.Process]:
        """The processes that read for it."""
        with suppress(psutil.Error):
            return self.main.children(recursive=True)
        return []

    @property
    def is_up(self) -> bool:
        """Whether it is to be there."""
        return not self.interruptions or self.interruptions[-1].end < math.inf

    def begin(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        _mains.add(self.process.pid)
        self.lives += 1

    def wait_ready(self) -> None:
        """Wait until it takes images."""
        process = self.process
        assert process is not None
        try:
            wait_until_ready(self.port, lambda: process.poll() is None, timeout_s=START_S)
        except TimeoutError:
            raise TimeoutError(self.log.read_text(errors="replace")[-2000:]) from None

    @contextmanager
    def interruption(self, kind: str) -> Iterator[Interruption]:
        """Yield a time in which the service ends; start it again at its end."""
        one = Interruption(kind, time.monotonic())
        self.interruptions.append(one)
        yield one
        self.look_for_orphans()
        time.sleep(RESTART_S)
        try:
            self.begin()
            self.wait_ready()
        except TimeoutError:
            self.ledger.fault(f"{self.name} did not start again")
        one.end = time.monotonic()

    def end(self) -> int:
        """Ask the service to end, and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.ledger.fault(f"{self.name} did not end {END_S:.0f} s after SIGTERM")
            self.kill()
            return -signal.SIGKILL

    def kill(self) -> None:
        """End the service alone, as the kernel does for want of memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def look_for_orphans(self) -> None:
        """Wait until nothing is left of a service that ended."""
        until = time.monotonic() + ORPHAN_S
        while left := orphans():
            if time.monotonic() > until:
                for one in left:
                    self.ledger.fault(f"left behind: {one.name()}, {one.status()}")
                    self.ledger.count("processes left behind")
                    one.kill()
                return
            time.sleep(0.1)

    def excuse(self, start: float, end: float) -> bool:
        """Say whether a request that broke off did so by our own doing.

        Whoever asked before the service was asked to end is to get an answer.
        """
        return any(
            one.start <= end and start <= one.end and (one.kind == KILLED or start > one.start)
            for one in self.interruptions
        )

    def was_up(self, start: float, end: float) -> bool:
        """Say whether the service was to be there all this time."""
        return not any(one.start <= end and start <= one.end for one in self.interruptions)

    def losses(self, start: float, end: float) -> int:
        """Return how many readers were killed in a time."""
        return sum(start - 1 <= at <= end for at in self.reader_losses)

    def seconds_away(self) -> float:
        """Return how long it was not to be there, seconds."""
        return sum(one.end - one.start for one in self.interruptions)


_mains: set[int] = set()
"""Processes that were started here, and are waited for by who started them."""


def orphans() -> list[psutil.Process]:
    """Return processes that came to be ours since a service left them; reaps those that ended."""
    left = []
    for one in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if one.pid in _mains:
                continue
            if one.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(one.pid, os.WNOHANG)
            else:
                left.append(one)
    return left
