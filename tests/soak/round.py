"""One soak: two services, everybody who asks them, and whoever disturbs them."""

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.soak.callers import (
    Soak,
    ask_for_a_study,
    ask_for_bad,
    ask_for_good,
    ask_for_rasters,
)
from tests.soak.disturbances import GOOD_ENDS, Disturber
from tests.soak.rude import leave, send_slowly
from tests.soak.samples import Sample
from tests.soak.senders import Sender, is_all_delivered, judge
from tests.soak.subject import Subject
from tests.soak.watch import Look, Watch
from tests.soak.wire import Caller
from tests.stow_server import Reply, StowServer, stored, stow_server

UNANSWERED = 0.05
"""Share of the results that the destination stores without saying so."""

DRAINED_S = 900.0
REST_S = 3.0
"""Between the last answer and the last look: connections and readers come to rest."""

AT_REST = ("mammoseg_in_flight", "mammoseg_reads_waiting", "mammoseg_tiles_waiting")
LEAKED = re.compile(r"Canary|CORPUS|2\.25\.1000|1\.2\.826\.0\.1")
"""Of a patient or an instance, in a log."""


@dataclass
class Side:
    """One service, and all that belongs to it."""

    soak: Soak
    sender: Sender
    destination: StowServer
    watch: Watch
    disturber: Disturber
    before: Look | None = None
    after: Look | None = None

    def threads(self) -> list[threading.Thread]:
        """Return everybody who is to run."""
        steps: list[tuple[str, Callable[[Soak, random.Random, Caller], None]]] = [
            *((f"caller {n}", ask_for_good) for n in range(3)),
            *((f"slow {n}", send_slowly) for n in range(2)),
            ("study", ask_for_a_study),
            ("bad", ask_for_bad),
            ("leaver", leave),
            ("page", ask_for_rasters),
            ("sender", self.sender.step),
            ("second sender", self.sender.step),
        ]
        soak = self.soak
        return [
            threading.Thread(target=target, daemon=True)
            for target in (
                *(lambda n=name, s=step: soak.run(n, s) for name, step in steps),
                self.watch.probe,
                self.watch.measure,
                self.disturber.run,
            )
        ]

    def finish(self) -> None:
        """Let the inbox come to its end, look once more, end the service, and judge."""
        subject, ledger = self.soak.subject, self.soak.subject.ledger
        try:
            self._drain()
            time.sleep(REST_S)
            self._look_at_rest()
            self.after = self.watch.look()
            self.watch.judge(self.before, self.after)
            judge(self.soak, self.sender.sent, self.destination)
        except Exception as error:
            ledger.fault(f"the soak's own end: {error!r}")
        if (status := subject.end()) not in GOOD_ENDS:
            ledger.fault(f"ended with {status} after SIGTERM")
        subject.look_for_orphans()
        self._judge_files()
        self._judge_log()

    def _drain(self) -> None:
        until = time.monotonic() + DRAINED_S
        while time.monotonic() < until:
            if is_all_delivered(self.soak):
                return
            time.sleep(0.5)

    def _look_at_rest(self) -> None:
        answer = Caller(self.soak.subject).ask("GET", "/metrics")
        for line in answer.body.decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name in AT_REST and float(value) != 0:
                self.soak.subject.ledger.fault(f"at rest, {line}")

    def _judge_files(self) -> None:
        """Count what is left on the disk: of kills alone, and never of what nobody knows."""
        subject, ledger = self.soak.subject, self.soak.subject.ledger
        left = {
            name: sum(1 for path in (subject.inbox / name).iterdir() if path.is_file())
            for name in ("incoming", "sources", "results", "lost")
        }
        ledger.count("temporary files", sum(1 for _ in subject.temporary.rglob("*")))
        ledger.count(
            "files left in the inbox", left["incoming"] + left["sources"] + left["results"]
        )
        if left["lost"]:
            ledger.fault(f"{left['lost']} files are lost")
        if ledger.counts["temporary files"]:
            ledger.fault("temporary files are left")
        # A kill comes between the end of an instance and the deletion of its files, at most two in
        # work and one sender's request of three each; the service deletes them after an hour.
        kills = len(subject.interruptions)
        if ledger.counts["files left in the inbox"] > 8 * kills:
            ledger.fault(f"{left} files are left in the inbox after {kills} kills")

    def _judge_log(self) -> None:
        for line in self.soak.subject.log.read_text(errors="replace").splitlines():
            if not line.startswith("{") or '"level": "error"' in line:
                self.soak.subject.ledger.fault(f"in the log: {line[:200]}")
            if LEAKED.search(line):
                self.soak.subject.ledger.fault(f"told in the log: {line[:200]}")


def run(
    folder: Path,
    model: Path,
    samples: tuple[Sequence[Sample], Sequence[Sample]],
    *,
    seconds: float,
    seed: int,
    say: Callable[[list[Side], float], None],
) -> list[Side]:
    """Soak two services for so long; what is told of them is in their ledgers.

    Parameters
    ----------
    folder
        Where everything lies.
    model
        An ONNX file.
    samples
        Good ones, and such as are refused.
    seconds
        How long it is asked and disturbed; preparing and judging come on top.
    seed
        Of everything that is left to chance.
    say
        Called now and then, with the seconds since the start.
    """
    ended = threading.Event()
    with ExitStack() as stack:
        sides = [
            _side(stack, name, folder, model, samples, ended, seconds, seed)
            for name in ("steady", "killed")
        ]
        for side in sides:
            subject = side.soak.subject
            subject.begin()
            stack.callback(subject.kill)
        for side in sides:
            side.soak.subject.wait_ready()
            _warm_up(side.soak)
            side.before = side.watch.look()
        threads = [thread for side in sides for thread in side.threads()]
        for thread in threads:
            thread.start()
        started = time.monotonic()
        while (since := time.monotonic() - started) < seconds:
            ended.wait(min(5.0, seconds - since))
            say(sides, time.monotonic() - started)
        ended.set()
        for thread in threads:
            thread.join(1500)
            if thread.is_alive():
                sides[0].soak.subject.ledger.fault("a caller did not come to its end")
        for side in sides:
            side.finish()
    return sides


def _side(
    stack: ExitStack,
    name: str,
    folder: Path,
    model: Path,
    samples: tuple[Sequence[Sample], Sequence[Sample]],
    ended: threading.Event,
    seconds: float,
    seed: int,
) -> Side:
    destination = stack.enter_context(stow_server())
    chance = random.Random(f"{seed} {name} destination")

    def reply(uid: str, times: int) -> Reply:
        return None if chance.random() < UNANSWERED else stored(uid)

    destination.reply = reply
    subject = Subject(name, folder / name, model, destination.url)
    soak = Soak(subject, *samples, ended, seed, pause_s=0.15)
    is_short = seconds < 120
    disturber = Disturber(
        subject,
        ended,
        seed,
        kills_service=name == "killed",
        pause_s=4.0 if is_short else 20.0,
    )
    watch = Watch(subject, ended, 1.0 if is_short else 5.0)
    return Side(soak, Sender(destination), destination, watch, disturber)


def _warm_up(soak: Soak) -> None:
    """Have each sample answered once, while nobody disturbs."""
    caller = Caller(soak.subject)
    for sample in (*soak.good, *soak.bad):
        path = "/v1/segment" + (f"?{sample.query}" if sample.query else "")
        caller.ask("POST", path, sample.body, {"Content-Type": sample.media_type})
    caller.leave()
