"""Several replicas on one PostgreSQL and one folder: kills, pauses, and a database that goes away.

`python -m tests.soak.replicas --kills 100`. A sender at each replica posts mammograms by STOW-RS
and repeats each, there or at another replica, until it is accepted. Replicas are killed by -9 at
random and started anew, or stopped for longer than their lease and let go on; PostgreSQL is ended,
in order or as in a crash, and started anew. The destination keeps every byte, and now and then
drops the connection instead of answering. At the end nothing accepted may be missing, no result may
have a second one or other bytes, and no file may have been set apart. With `--refused 3` every
third image is one that the model must not judge, as in `tests.soak.kills`.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from service.inbox.instance_store import InstanceStore
from service.inbox.postgres import PostgresDatabase
from service.postgres_options import PostgresOptions
from tests.postgres_server import PASSWORD, PostgresServer, postgres_server
from tests.soak.killed_service import Service
from tests.soak.kills import DESTINATIONS, WHILE_STARTING, Tally, destination, is_done, judge
from tests.soak.persistent_sender import Sender

LEASE_S = 3.0
PAUSES, RESTARTS = 0.15, 0.08
"""How many pauses of a replica, and restarts of PostgreSQL, for each kill."""

MAX_AWAY_S = 3.0

PAUSE_S = 1.5
"""Of each sender between two instances."""


@dataclass(frozen=True, slots=True)
class ReplicasTally:
    """What a run came to.

    Attributes
    ----------
    tally
        As of one service.
    pauses
        How often a replica was stopped for longer than its lease.
    restarts
        How often PostgreSQL was.
    answers
        HTTP statuses that senders got, with their number.
    """

    tally: Tally
    pauses: int
    restarts: int
    answers: dict[int, int]


class Chaos:
    """Kills, pauses and restarts, and counts them."""

    def __init__(
        self, services: Sequence[Service], server: PostgresServer, chance: random.Random
    ) -> None:
        self._services, self._server, self._chance = services, server, chance
        self.kills = self.pauses = self.restarts = 0

    def run(self, kills: int, ends: float) -> None:
        while self.kills < kills and time.monotonic() < ends:
            service = self._chance.choice(self._services)
            if self._chance.random() >= WHILE_STARTING:
                service.wait_ready()
            time.sleep(self._chance.uniform(0.0, 1.5))
            service.stop(signal.SIGKILL)
            self.kills += 1
            if self._chance.random() < 0.3:
                time.sleep(self._chance.uniform(0.0, LEASE_S))
            service.start()
            # Each of them at least once.
            if self.kills == 1 or self._chance.random() < PAUSES:
                self._pause()
            if self.kills == 2 or self._chance.random() < RESTARTS:
                self._restart()

    def _pause(self) -> None:
        """Stop a replica for longer than its lease."""
        self.pauses += 1
        service = self._chance.choice(self._services)
        service.signal(signal.SIGSTOP)
        time.sleep(LEASE_S * self._chance.uniform(1.2, 2.5))
        service.signal(signal.SIGCONT)

    def _restart(self) -> None:
        """Let the database go away, and come back."""
        self.restarts += 1
        self._server.stop(self._chance.choice([signal.SIGINT, signal.SIGQUIT]))
        time.sleep(self._chance.uniform(0.0, MAX_AWAY_S))
        self._server.start()


def run(
    kills: int,
    seed: int,
    *,
    replicas: int = 3,
    to: str = "stow",
    longest_s: float = 86_400.0,
    drain_s: float = 3600.0,
    refused_every: int = 0,
) -> ReplicasTally:
    """Kill replicas so many times, let the others and them finish, and see what is there.

    No kill comes after `longest_s`; what is left then has `drain_s`. Of each sender's images every
    so many is one that is to be refused, and reported.
    """
    started, chance = time.monotonic(), random.Random(seed)
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        server = open_.enter_context(postgres_server())
        url, received = open_.enter_context(destination(to, chance))
        settings = {
            "inbox_database": server.url,
            "inbox_database_password_file": server.password_file,
            "inbox_lease_s": LEASE_S,
        }
        services = [
            open_.enter_context(Service(folder, url, f"replica{number}", **settings))
            for number in range(replicas)
        ]
        for service in services:
            service.start()
        chaos = Chaos(services, server, chance)
        senders = _send_while(
            services, refused_every, lambda: chaos.run(kills, started + longest_s)
        )
        counts = _drained(server, drain_s)
        for service in services:
            service.wait_ready()
            service.stop(signal.SIGTERM)
        accepted = [uid for sender in senders for uid in sender.accepted]
        refused = set().union(*(sender.refused for sender in senders))
        faults, results, again = judge(accepted, received, refused)
        faults += _left_over(services[0].inbox, counts)
        answers = sum((sender.answers for sender in senders), Counter[int]())
        faults += [f"{code} was answered" for code in answers if code not in (200, 503)]
        seconds = time.monotonic() - started
        number = len(accepted), len(refused)
        tally = Tally(chaos.kills, *number, counts, results, again, faults, seconds)
        return ReplicasTally(tally, chaos.pauses, chaos.restarts, dict(answers))


def _send_while(
    services: Sequence[Service], refused_every: int, do: Callable[[], None]
) -> list[Sender]:
    urls = [f"{service.url}/dicom-web/studies" for service in services]
    senders = [
        Sender(
            *urls[number:],
            *urls[:number],
            pause_s=PAUSE_S,
            refused_every=refused_every,
            series=number + 1,
        )
        for number in range(len(urls))
    ]
    for sender in senders:
        sender.start()
    try:
        do()
    finally:
        for sender in senders:
            sender.ended.set()
        for sender in senders:
            sender.join()
    return senders


def _drained(server: PostgresServer, drain_s: float) -> dict[str, int]:
    database = PostgresDatabase(PostgresOptions.parse(server.url, PASSWORD), LEASE_S)
    deadline = time.monotonic() + drain_s
    try:
        while True:
            if is_done(database) or time.monotonic() > deadline:
                return InstanceStore(database).counts()
            time.sleep(0.5)
    finally:
        database.close()


def _left_over(inbox: Path, counts: dict[str, int]) -> list[str]:
    """Return what should not be: instances that are not done with, and lost files."""
    faults = []
    unfinished = sum(counts.values()) - counts.get("delivered", 0) - counts.get("refused", 0)
    if unfinished:
        faults.append(f"{unfinished} instances are not delivered")
    if lost := len(list((inbox / "lost").iterdir())):
        faults.append(f"{lost} files are in lost")
    return faults


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1440.0, help="no kill comes later")
    parser.add_argument("--to", choices=DESTINATIONS, default="stow")
    parser.add_argument("--refused", type=int, default=0, metavar="EVERY")
    options = parser.parse_args()
    tally, console = (
        run(
            options.kills,
            options.seed,
            replicas=options.replicas,
            to=options.to,
            longest_s=options.minutes * 60,
            refused_every=options.refused,
        ),
        Console(),
    )
    console.print(tally)
    sys.exit(1 if tally.tally.faults else 0)


if __name__ == "__main__":
    main()
