"""kill -9, SIGTERM and SIGSTOP at random moments, of readers and of the service itself."""

import random
import signal
import threading
import time
from contextlib import suppress

import psutil

from tests.soak.subject import ASKED, KILLED, Subject

READER_KINDS = ("kill", "kill", "kill all", "term", "stop", "storm")
SERVICE_KINDS = ("kill", "kill", "term", "term, kill", "kill twice", "stop reader, kill")
MAX_ANSWERS, MAX_PAUSE_S = 40, 120.0
"""Right answers between two disturbances, at most; and how long they are waited for."""

GOOD_ENDS = (0, -signal.SIGTERM)


class Disturber:
    """Disturbs one service until the end.

    Parameters
    ----------
    subject
        Whom.
    ended
        Set at the end.
    seed
        Of the moments and kinds.
    kills_service
        Not its readers alone.
    pause_s
        Longest time between two disturbances.
    """

    def __init__(
        self,
        subject: Subject,
        ended: threading.Event,
        seed: int,
        *,
        kills_service: bool,
        pause_s: float,
    ) -> None:
        self._subject, self._ended = subject, ended
        self._chance, self._pause_s = random.Random(f"{seed} {subject.name}"), pause_s
        self._kills_service = kills_service

    def run(self) -> None:
        """Disturb; also look whether the service runs at all."""
        subject, chance = self._subject, self._chance
        while not self._ended.wait(chance.uniform(0.3, self._pause_s)):
            self._wait_for_answers(chance.randint(1, MAX_ANSWERS))
            assert subject.process is not None
            if (status := subject.process.poll()) is not None:
                subject.ledger.fault(f"{subject.name} ended by itself, status {status}")
                with subject.interruption(KILLED):
                    pass
            elif self._kills_service and chance.random() < 0.5:
                self._disturb_service(chance.choice(SERVICE_KINDS))
            else:
                self._disturb_readers(chance.choice(READER_KINDS))

    def _wait_for_answers(self, count: int) -> None:
        """Wait until it answered so often: on a busy machine it would do nothing but start."""
        answered = self._subject.ledger.counts
        wanted, until = answered["right answers"] + count, time.monotonic() + MAX_PAUSE_S
        while answered["right answers"] < wanted and time.monotonic() < until:
            if self._ended.wait(0.2):
                return

    def _disturb_readers(self, kind: str) -> None:
        subject, chance = self._subject, self._chance
        readers = subject.readers
        if not readers:
            return
        subject.ledger.count(f"readers: {kind}")
        some = readers if kind in ("kill all", "storm") else [chance.choice(readers)]
        how = {"term": signal.SIGTERM, "stop": signal.SIGSTOP}.get(kind, signal.SIGKILL)
        for _ in range(3 if kind == "storm" else 1):
            self._signal(some, how)
            if kind == "storm":
                self._ended.wait(chance.uniform(0.05, 1.5))
                some = subject.readers

    def _signal(self, readers: list[psutil.Process], how: signal.Signals) -> None:
        for reader in readers:
            with suppress(psutil.Error):
                if how is not signal.SIGTERM:
                    # SIGTERM reaches every process of a unit, and readers go on.
                    self._subject.reader_losses.append(time.monotonic())
                reader.send_signal(how)

    def _disturb_service(self, kind: str) -> None:
        subject, chance = self._subject, self._chance
        subject.ledger.count(f"service: {kind}")
        with subject.interruption(ASKED if kind == "term" else KILLED):
            if kind == "term":
                if (status := subject.end()) not in GOOD_ENDS:
                    subject.ledger.fault(f"ended with {status} after SIGTERM")
            elif kind == "term, kill":
                subject.main.terminate()
                time.sleep(chance.uniform(0, 2))
                subject.kill()
            elif kind == "kill twice":
                subject.kill()
                subject.look_for_orphans()
                subject.begin()
                time.sleep(chance.uniform(0, 3))
                subject.kill()
            else:
                if kind == "stop reader, kill":
                    self._signal(subject.readers[:1], signal.SIGSTOP)
                subject.kill()
