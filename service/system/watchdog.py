"""Ends child processes that will never answer, so that whoever waits for them goes on."""

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger("mammoseg")

LOOK_S = 0.5
"""Seconds between two looks at the processes."""

GRACE_S = 1.0
"""Seconds beyond a process's time after which it is ended here; until then, whoever waits for it
should end it."""


@dataclass(slots=True, eq=False)
class Watched:
    """A child process, and until when it must have answered.

    Attributes
    ----------
    ends
        A monotonic time in seconds; infinite while nothing is asked of it.
    was_stopped
        It was ended because it was stopped: whatever it was doing is not to blame.
    """

    process: "subprocess.Popen[bytes]"
    ends: float = field(default=math.inf, kw_only=True)
    was_stopped: bool = field(default=False, kw_only=True)

    @property
    def is_stopped(self) -> bool:
        """Whether a signal such as SIGSTOP has stopped it (POSIX waitid, WSTOPPED)."""
        if self.was_stopped or not hasattr(os, "waitid"):
            return self.was_stopped
        try:
            # WNOWAIT leaves the process's state to be asked for again, by `Popen` too.
            told = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return told is not None


class Watchdog:
    """Looks at processes until it is closed, and ends those that are stopped or overdue.

    A process is stopped when it is so at two looks: when a terminal continues the whole group,
    this process may come first.

    Parameters
    ----------
    processes
        Gives those that are to be looked at now; called by a thread of the watchdog's own.
    name
        What they are, for the log.
    """

    def __init__(self, processes: Callable[[], Collection[Watched]], name: str) -> None:
        self._processes, self._name = processes, name
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        before: set[Watched] = set()
        while not self._closed.wait(LOOK_S):
            processes = self._processes()
            stopped = {one for one in processes if one.is_stopped}
            for one in stopped & before:
                one.was_stopped = True
                self._end(one, "stopped")
            before = stopped
            for one in processes:
                if time.monotonic() > one.ends + GRACE_S:
                    self._end(one, "overdue")

    def _end(self, one: Watched, reason: str) -> None:
        if one.process.poll() is None:
            log.warning("process-ended", process=self._name, pid=one.process.pid, reason=reason)
            one.process.kill()
