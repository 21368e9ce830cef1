"""kill -9 at random moments: no accepted instance is lost, no delivered result is a second one.

`python -m tests.soak.kills --kills 100 --to stow`. A sender posts mammograms by STOW-RS and repeats
each until it is accepted, as a PACS does; a destination keeps every byte it gets, and now and then
drops the connection instead of answering. The service is killed again and again, also while it
starts. With `--to commitment` the destination also leaves requests for storage commitment
unanswered, or says that it has lost an object. With `--refused 3` every third image is one that the
model must not judge: its study is to get one report that says so, and nothing else.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from rich.console import Console

from service.inbox.database import Database
from service.inbox.inbox import DATABASE_FILE
from service.inbox.instance_store import InstanceStore
from service.inbox.report_queue import ReportQueue
from service.inbox.sqlite import SqliteDatabase
from tests.soak.killed_service import Service
from tests.soak.persistent_sender import Sender
from tests.store_scp import HANG_UP, store_scp
from tests.stow_server import stored, stow_server

KINDS = {"SEG", "SR"}
REPORT = {"SR"}
"""What there is of an image that was refused."""
WHILE_STARTING = 0.2
"""Share of the kills that hit a service before it is ready."""
UNANSWERED = 0.1
"""Share of the deliveries that the destination stores without saying so, of requests for commitment
that it does not answer, and of objects to which it does not commit itself."""
DESTINATIONS = ("stow", "dicom", "commitment")
"""How results are delivered."""

Received = Mapping[str, Sequence[bytes]]
"""Every object at the destination by SOP Instance UID, each time it came."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run came to.

    Attributes
    ----------
    kills
        How often the service was killed.
    accepted
        Instances that the service said it had taken.
    refused
        Those of them that it must not judge.
    states
        Where they stand at the end, with their number.
    results
        Distinct results at the destination.
    sent_again
        Files that the destination got more than once, each time the same.
    faults
        What should not be: lost instances, second results, other bytes.
    seconds
        How long it took.
    """

    kills: int
    accepted: int
    refused: int
    states: dict[str, int]
    results: int
    sent_again: int
    faults: list[str]
    seconds: float


@contextmanager
def destination(to: str, chance: random.Random) -> Iterator[tuple[str, Received]]:
    """Run a destination of a kind; returns its URL and what it got."""

    def now_and_then() -> bool:
        return chance.random() < UNANSWERED

    if to == "stow":
        with stow_server() as server:
            server.reply = lambda uid, times: None if now_and_then() else stored(uid)
            yield server.url, server.received
        return

    def report(transaction: str, uids: list[str]) -> dict[str, int] | None:
        return None if now_and_then() else {uid: 0x0112 for uid in uids if now_and_then()}

    with store_scp() as archive:
        archive.status = lambda uid, times: HANG_UP if now_and_then() else 0
        archive.report = report
        asked = {"commitment": "true", "commitment_timeout_s": 2} if to == "commitment" else {}
        yield archive.url(**asked), archive.received


def run(
    kills: int,
    seed: int,
    *,
    to: str = "stow",
    pause_s: float = 0.1,
    drain_s: float = 600.0,
    refused_every: int = 0,
) -> Tally:
    """Kill the service so many times, let it finish, and see what is there."""
    started = time.monotonic()
    # Each its own, so that the same moments are hit however many deliveries come between.
    chance, unanswered = random.Random(seed), random.Random(f"answers {seed}")
    with tempfile.TemporaryDirectory() as folder, destination(to, unanswered) as (url, received):
        with Service(Path(folder), url) as service:
            sender = Sender(
                f"{service.url}/dicom-web/studies", pause_s=pause_s, refused_every=refused_every
            )
            _kill_while_sending(service, kills, chance, sender)
            service.start()
            states = _drained(service, drain_s)
            service.stop(signal.SIGTERM)
        faults, results, again = judge(sender.accepted, received, sender.refused)
        finished = {"delivered", "refused"} if refused_every else {"delivered"}
        unfinished = sum(states[state] for state in states.keys() - finished)
        if unfinished:
            faults.append(f"{unfinished} instances are not delivered")
        seconds = time.monotonic() - started
        counts = len(sender.accepted), len(sender.refused)
        return Tally(kills, *counts, states, results, again, faults, seconds)


def _kill_while_sending(
    service: Service, kills: int, chance: random.Random, sender: Sender
) -> None:
    sender.start()
    try:
        for _ in range(kills):
            service.start()
            if chance.random() < WHILE_STARTING:
                time.sleep(chance.uniform(0.0, 3.0))
            else:
                service.wait_ready()
                time.sleep(chance.uniform(0.0, 1.5))
            service.stop(signal.SIGKILL)
    finally:
        sender.ended.set()
        sender.join()


def _drained(service: Service, drain_s: float) -> dict[str, int]:
    service.wait_ready()
    database, deadline = SqliteDatabase(service.inbox / DATABASE_FILE), time.monotonic() + drain_s
    try:
        while True:
            if is_done(database) or time.monotonic() > deadline:
                return InstanceStore(database).counts()
            time.sleep(0.2)
    finally:
        database.close()


def is_done(database: Database) -> bool:
    """Say whether nothing is left to process, to report or to deliver."""
    instances = InstanceStore(database)
    if instances.counts().keys() & {"received", "processed"} or ReportQueue(database).all_untold():
        return False
    return not {state for _, state in instances.delivery_counts()} & {"waiting", "stored"}


def judge(
    accepted: list[str], received: Received, refused: Collection[str] = ()
) -> tuple[list[str], int, int]:
    """Compare what was accepted with what arrived; returns faults, results, and repeated files."""
    faults, again = [], 0
    made: dict[str, Counter[str]] = defaultdict(Counter)
    for uid, files in received.items():
        if len(set(files)) > 1:
            faults.append(f"{uid} came with {len(set(files))} different contents")
        again += len(files) > 1
        # By DIMSE a data set comes without the header of a file.
        result = dcmread(BytesIO(files[0]), force=True)
        sources = {
            str(element.value)
            for element in result.iterall()
            if element.keyword == "ReferencedSOPInstanceUID"
        }
        for source in sources & {*accepted}:
            made[source][result.Modality] += 1
    for source in accepted:
        if made[source].keys() != (REPORT if source in refused else KINDS):
            faults.append(f"{source} was accepted, and {set(made[source])} arrived")
        if any(count > 1 for count in made[source].values()):
            faults.append(f"{source} has second results: {dict(made[source])}")
    return faults, len(received), again


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", choices=DESTINATIONS, default="stow")
    parser.add_argument("--refused", type=int, default=0, metavar="EVERY")
    options = parser.parse_args()
    console = Console()
    tally = run(options.kills, options.seed, to=options.to, refused_every=options.refused)
    console.print(tally)
    sys.exit(1 if tally.faults else 0)


if __name__ == "__main__":
    main()
