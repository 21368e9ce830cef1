"""`python -m tests.attack`: attack the service, and say which walls held.

The service has a small model, an inbox, one reader, MEMORY_MIB near the least and 1,024
descriptors; attacks that end it have one of their own. Each is a line of the printed table: what is
sent, on how many connections, how many bytes; the peak of the service's resident memory, alone and
with its readers, of what MEMORY_MIB allows; the longest answer of /health/live and the time of the
next good mammogram, in seconds; and the walls that fell. Exits with 1 where one did.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.attack import (
    associations,
    crowds,
    endless,
    hostile_files,
    hostile_model,
    hostile_reader,
    lost_database,
    set_clock,
    slow_senders,
    strangers,
)
from tests.attack.attack import Attack
from tests.attack.measure import Row, measure
from tests.attack.target import Target

ATTACKS = {
    attack.name: attack
    for module in (
        endless,
        crowds,
        slow_senders,
        strangers,
        hostile_files,
        lost_database,
        associations,
        hostile_reader,
        set_clock,
        hostile_model,
    )
    for attack in module.ATTACKS
}
COLUMNS = (
    "attack", "what is sent", "connections", "bytes", "MiB alone", "MiB in all", "health s",
    "next s", "verdict",
)  # fmt: skip


def line(row: Row) -> str:
    """Return a line of the table."""
    cells = (
        row.attack.name,
        row.attack.sends,
        f"{row.sent.connections:,}",
        f"{row.sent.bytes:,}",
        f"{row.own_mib:.0f}",
        f"{row.tree_mib:.0f} of {row.memory_mib}",
        f"{row.health_s:.1f}",
        row.good,
        "; ".join(row.faults) or "held",
    )
    return as_line(cells)


def as_line(cells: tuple[str, ...]) -> str:
    """Return cells as a line of Markdown."""
    return f"| {' | '.join(cells)} |\n"


def rows(attacks: list[Attack]) -> Iterator[Row]:
    """Attack, one after another; a service with a fault is not attacked any more."""
    with contextlib.ExitStack() as shared:
        target: Target | None = None
        for attack in attacks:
            if attack.alone:
                with contextlib.ExitStack() as own:
                    row = measure(attack, start(own, attack))
            else:
                target = target or start(shared, attack)
                row = measure(attack, target)
                if row.faults:
                    shared.close()
                    target = None
            yield row


def start(stack: contextlib.ExitStack, attack: Attack) -> Target:
    """Start the service that an attack is made on, until the stack is closed."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    return stack.enter_context(Target(Path(folder), attack.settings))


def main() -> int:
    """Print the table, line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=ATTACKS, metavar="NAME", default=[])
    chosen = parser.parse_args().only or list(ATTACKS)
    sys.stdout.write(as_line(COLUMNS) + as_line(("---",) * len(COLUMNS)))
    fell = False
    for row in rows([ATTACKS[name] for name in chosen]):
        fell = fell or bool(row.faults)
        sys.stdout.write(line(row))
        sys.stdout.flush()
    return int(fell)


if __name__ == "__main__":
    sys.exit(main())
