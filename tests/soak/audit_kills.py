"""Kills who records and who collects, at random, and counts what is missing at the end.

    python -m tests.soak.audit_kills --kills 100

A process records events, one after another, and says of each, once `record` has returned, that it
is promised. It is killed (SIGKILL) after a random while and started again, over and over; every
third time rsyslog is killed instead, over TLS, and started again on the same file. At the end every
promised event must be in rsyslog's file; one that is there twice must be the same to the byte.
"""

import argparse
import contextlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from service.audit.buffer import AuditBuffer
from service.audit.syslog import MESSAGE_ID
from tests.certificates import Authority
from tests.service.audit.collectors import Rsyslog, sequence_ids
from tests.waiting import comes_true

RECORDS = """
import sys, time
from pathlib import Path
from service.audit.trail import AuditTrail
from service.audit.events import queried
from service.logs import configure_logs
from service.settings import Settings

configure_logs("error", "json")
settings = Settings().audit_options(Path(sys.argv[1]))
number = int(sys.argv[2])
with AuditTrail("audit kills", settings) as trail:
    while True:
        number += 1
        trail.record([queried(trail.process, trail.process, "", f"event {number}")])
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
        time.sleep(0.02)
"""

WHOLE, APP = re.compile(rb"<8[45]>1 .*</AuditMessage>"), MESSAGE_ID.encode("ascii")
PROMISED = re.compile(rb"<EventOutcomeDescription>event (\d+)</EventOutcomeDescription>")


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes
    ----------
    promised, missing
        Events that were recorded, and those of them that the collector does not have.
    repeated
        Messages that it has more than once.
    unlike
        Those of them that are not the same each time.
    """

    promised: int
    missing: int
    repeated: int
    unlike: int


def run(kills: int, folder: Path, seed: int = 1) -> Found:
    """Kill so many times; see the module."""
    chance = random.Random(seed)
    authority, port = Authority(folder), _quiet_port(chance)
    own = authority.issue("sender", to_client=True)
    environment = {
        "MAMMOSEG_AUDIT": f"syslog-tls://localhost:{port}",
        "MAMMOSEG_AUDIT_CA": str(authority.file),
        "MAMMOSEG_AUDIT_CERTIFICATE": str(own.certificate),
        "MAMMOSEG_AUDIT_KEY": str(own.key),
    }
    promised = 0
    with Rsyslog(folder / "rsyslog", authority, port) as collector:
        for kill in range(kills):
            with subprocess.Popen(
                [sys.executable, "-c", RECORDS, str(folder / "buffer"), str(promised)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(chance.uniform(0.0, 0.6))
                if kill % 3 == 2:
                    collector.kill()
                    collector.start()
                    time.sleep(chance.uniform(0.0, 2.0))
                process.kill()
                # What was written before the last newline was promised.
                lines = process.stdout.read().split(b"\n")[:-1]
            promised = int(lines[-1]) if lines else promised + 1
        _drain(folder / "buffer", environment)
        assert comes_true(lambda: collector.raw.read_bytes().endswith(b"\n"))
        time.sleep(2.0)
        return _compared(promised, collector.raw.read_bytes().splitlines())


def _quiet_port(chance: random.Random) -> int:
    """Return a port that no connection gets by chance while nobody listens on it."""
    while True:
        port = chance.randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _drain(buffer: Path, environment: dict[str, str]) -> None:
    """Send what is left, by a process that ends in order."""
    code = RECORDS[: RECORDS.index("    while True")] + "    pass\n"
    for _ in range(20):
        subprocess.run(
            [sys.executable, "-c", code, str(buffer), "0"],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        left = AuditBuffer(buffer, 2**30)
        waiting = left.waiting()
        left.close()
        if not waiting:
            return
    raise AssertionError(f"{waiting} messages are never taken")


def _compared(promised: int, messages: list[bytes]) -> Found:
    have: set[int] = set()
    by_number: dict[int, set[bytes]] = {}
    # What rsyslog was killed in the middle of writing, the next message follows on the same line.
    whole = [each for each in messages if WHOLE.fullmatch(each) and each.count(APP) == 1]
    for number, message in zip(sequence_ids(whole), whole, strict=True):
        by_number.setdefault(number, set()).add(message)
        if found := PROMISED.search(message):
            have.add(int(found[1]))
    return Found(
        promised,
        len(set(range(1, promised + 1)) - have),
        len(whole) - len(by_number),
        sum(len(each) > 1 for each in by_number.values()),
    )


def main() -> int:
    """Kill as often as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(given.kills, Path(folder), given.seed)
    sys.stdout.write(f"{found}\n")
    return 1 if found.missing or found.unlike else 0


if __name__ == "__main__":
    sys.exit(main())
