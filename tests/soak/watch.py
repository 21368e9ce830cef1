"""Readiness, memory and descriptors of a service, looked at all the time."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import psutil

from tests.soak.subject import MEMORY_MIB, Subject
from tests.soak.wire import Caller

MIB = 2**20
PROBE_S = 0.2
MAX_GROWTH_MIB = 32.0
"""Over a whole run, of the service alone, and of it with its readers."""

WARM_SHARE = 0.2
"""Of a run: until then caches fill, and growth is not looked for."""

MIN_SPAN_S = 60.0
"""Over less, growth says how warm readers are, each of which keeps what its largest image took."""

MAX_MORE_FILES = 8
"""Descriptors of the service at rest, over those at rest before."""


@dataclass(frozen=True, slots=True)
class Look:
    """At one moment: proportional set size (PSS) in bytes, and numbers."""

    at: float
    own: int
    tree: int
    processes: int
    files: int
    threads: int


class Watch:
    """Looks at one service, on two threads."""

    def __init__(self, subject: Subject, ended: threading.Event, period_s: float) -> None:
        self._subject, self._ended, self._period_s = subject, ended, period_s
        self.looks: list[Look] = []
        self._began = time.monotonic()

    def probe(self) -> None:
        """Ask whether it is ready, again and again: it must be whenever it is to be there."""
        caller, ledger = Caller(self._subject), self._subject.ledger
        while not self._ended.wait(PROBE_S):
            if not self._subject.is_up:
                caller.leave()
                continue
            answer = caller.ask("GET", "/health/ready")
            ledger.count("readiness asked for")
            # Where it did not answer at all, `ask` has judged.
            was_up = self._subject.was_up(answer.start, answer.end)
            if was_up and answer.status not in (0, 200):
                ledger.fault(f"not ready: {answer.status}")

    def measure(self) -> None:
        """Look at memory, again and again."""
        while not self._ended.wait(self._period_s):
            if self._subject.is_up and (look := self.look()) is not None:
                self.looks.append(look)
                if look.tree > MEMORY_MIB * MIB:
                    self._subject.ledger.fault(f"{look.tree / MIB:.0f} MiB of {MEMORY_MIB}")

    def look(self) -> Look | None:
        """Look once; None where it just ended."""
        with suppress(psutil.Error):
            main = self._subject.main
            own = main.memory_full_info().pss
            files, threads, tree = main.num_fds(), main.num_threads(), own
            children = main.children(recursive=True)
            for child in children:
                with suppress(psutil.Error):
                    tree += child.memory_full_info().pss
            at = time.monotonic() - self._began
            return Look(at, own, tree, 1 + len(children), files, threads)
        return None

    @property
    def warm(self) -> list[Look]:
        """What was seen once caches were full."""
        return [look for look in self.looks if look.at >= WARM_SHARE * self.looks[-1].at]

    def growth(self) -> tuple[float, float]:
        """Return how much the service alone, and with its readers, grew once warm, MiB."""
        looks = self.warm
        if len(looks) < 3:
            return 0.0, 0.0
        at = [look.at for look in looks]
        span = at[-1] - at[0]
        own = _slope(at, [look.own / MIB for look in looks]) * span
        return own, _slope(at, [look.tree / MIB for look in looks]) * span

    def judge(self, before: Look | None, after: Look | None) -> None:
        """Hold growth and what is open to their bounds."""
        ledger, (own, tree) = self._subject.ledger, self.growth()
        for name, grown in (("alone", own), ("with its readers", tree)):
            if grown > MAX_GROWTH_MIB and self.looks[-1].at >= MIN_SPAN_S:
                ledger.fault(f"{self._subject.name} grew by {grown:.0f} MiB, {name}")
        if before is not None and after is not None:
            if after.files > before.files + MAX_MORE_FILES:
                ledger.fault(f"{after.files} descriptors at rest, {before.files} before")
            if after.processes > before.processes:
                ledger.fault(f"{after.processes} processes at rest, {before.processes} before")


def _slope(at: list[float], values: list[float]) -> float:
    """Return the median of the slopes between all pairs (Theil and Sen): a peak moves it little."""
    x, y = np.array(at[:: 1 + len(at) // 600]), np.array(values[:: 1 + len(values) // 600])
    first, second = np.triu_indices(len(x), 1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
