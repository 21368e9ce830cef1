"""What a soak came to: one table, and the same as JSON."""

from collections.abc import Sequence
from typing import Any

from tests.soak.round import Side
from tests.soak.watch import MIB

Figures = dict[str, float | int | str]


def figures(side: Side) -> Figures:
    """Return everything that was counted or measured of one service."""
    subject, ledger, watch = side.soak.subject, side.soak.subject.ledger, side.watch
    told: Figures = dict(sorted(ledger.counts.items()))
    told["readers killed or stopped"] = len(subject.reader_losses)
    told["service ended"] = len(subject.interruptions)
    told["not there, seconds"] = round(subject.seconds_away(), 1)
    if watch.looks:
        warm = watch.warm
        own, tree = watch.growth()
        told["PSS alone, MiB, first and last fifth"] = _ends([look.own for look in warm])
        told["PSS with readers, MiB, first and last fifth"] = _ends([look.tree for look in warm])
        told["PSS with readers, MiB, most"] = round(max(look.tree for look in watch.looks) / MIB)
        told["growth alone, MiB"] = round(own, 1)
        told["growth with readers, MiB"] = round(tree, 1)
    if side.before and side.after:
        for name in ("files", "processes", "threads"):
            ends = getattr(side.before, name), getattr(side.after, name)
            told[f"{name} at rest, before and after"] = f"{ends[0]}, {ends[1]}"
    told["faults"] = ledger.fault_count
    return told


def _ends(values: Sequence[int]) -> str:
    fifth = max(1, len(values) // 5)
    means = (sum(part) / len(part) / MIB for part in (values[:fifth], values[-fifth:]))
    return ", ".join(f"{mean:.0f}" for mean in means)


def table(sides: Sequence[Side]) -> str:
    """Return all figures as a table in Markdown, a service a column, and the faults below."""
    columns = {side.soak.subject.name: figures(side) for side in sides}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    last = [name for name in names if name in next(iter(columns.values()))][-12:]
    names = [name for name in sorted(names) if name not in last] + last
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name in names:
        cells = (str(column.get(name, "")) for column in columns.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for side in sides:
        subject = side.soak.subject
        lines += [f"FAULT {subject.name}: {fault}" for fault in subject.ledger.faults]
    return "\n".join(lines) + "\n"


def as_json(sides: Sequence[Side], **of_the_run: object) -> dict[str, Any]:
    """Return all figures, faults, and memory over time."""
    return of_the_run | {
        side.soak.subject.name: {
            "figures": figures(side),
            "faults": side.soak.subject.ledger.faults,
            "looks": [
                [round(look.at, 1), look.own, look.tree, look.processes, look.files, look.threads]
                for look in side.watch.looks
            ],
            "interruptions": [
                [one.kind, round(one.end - one.start, 2)] for one in side.soak.subject.interruptions
            ],
        }
        for side in sides
    }
