"""What the terminal shows of many files: how far it is, what was refused, a table at the end."""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from service.batch.journal_line import Row

MAX_ROWS = 50
"""Of the table; all are in the CSV."""


def shown(text: str | Path) -> str:
    """Return a name as a terminal may get it: no control characters, nothing that is no text."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(text))


class _Rate(ProgressColumn):
    """Images a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s", style="progress.data.speed")


class Report:
    """Tells a terminal how far it is; a file or a pipe gets refusals and the table alone.

    Parameters
    ----------
    stdout, stderr
        The table goes to the one, everything else to the other.
    quiet
        Show no bar and no table.
    """

    def __init__(self, stdout: Console, stderr: Console, *, quiet: bool = False) -> None:
        self._stdout, self._stderr, self._quiet = stdout, stderr, quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=stderr,
            disable=quiet or not stderr.is_terminal,
        )
        self._task = self._progress.add_task("Looking for images", total=None)
        self._started_s = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def opening(self) -> None:
        """Say that the model is opened; there may be thousands of files to look at before."""
        self._progress.reset(self._task, total=None, description="Opening the model")

    def begin(self, images: int) -> None:
        """Say how many there are to do; the time counts from here."""
        self._started_s = time.monotonic()
        self._progress.reset(self._task, total=images, description="Segmenting")

    def advance(self) -> None:
        """Say that one more is done."""
        self._progress.advance(self._task)

    def fault(self, sentence: str) -> None:
        """Say what cannot be dealt with."""
        self._stderr.print(Text(shown(sentence), style="red"), soft_wrap=True)

    def end(self, rows: Iterable[Row], counts: Counter[str], out: Path, csv: str | None) -> None:
        """Show the table, and what was done in a line.

        Parameters
        ----------
        rows
            Of the images whose results are there.
        counts
            How many: "done" now, "kept" from before, "duplicate", "refused", "passed-over".
        out
            Folder of the results.
        csv
            Name of the file of all scores in it; None where none was asked for.
        """
        if self._quiet:
            return
        rows = list(rows)
        if rows:
            self._stdout.print(_table(rows[:MAX_ROWS]))
        if len(rows) > MAX_ROWS:
            more = f"and {len(rows) - MAX_ROWS} more" + (f": see {csv}" if csv else "")
            self._stdout.print(more, markup=False, highlight=False)
        done = _sentence(counts, time.monotonic() - self._started_s)
        self._stdout.print(
            f"{done} Results are in {shown(out)}/.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _sentence(counts: Counter[str], seconds: float) -> str:
    parts = [f"{counts['done']} segmented"]
    if counts["done"] > 1:
        parts[0] += f" at {counts['done'] / max(seconds, 1e-3):.1f} images/s"
    if counts["kept"]:
        parts.append(f"{counts['kept']} were done before")
    if counts["duplicate"]:
        parts.append(f"{counts['duplicate']} duplicates of others")
    if counts["refused"]:
        parts.append(f"{counts['refused']} refused")
    if counts["passed-over"]:
        parts.append(f"{counts['passed-over']} passed over: no mammograms")
    return ", ".join(parts) + "."


def _table(rows: Iterable[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("image", overflow="fold")
    table.add_column("view", no_wrap=True)
    for heading in ("score", "regions", "mm2"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("assumed or odd", overflow="fold")
    for row in rows:
        area = row["mask_area_mm2"]
        table.add_row(
            Text(shown(row["results"])),
            f"{row['laterality'] or '-'} {row['view_position'] or '-'}",
            f"{row['score']:.3f} {'yes' if row['decision'] else 'no':3}",
            f"{row['selected_regions']}/{row['regions']}",
            "-" if area is None else f"{area:.0f}",
            Text(row["warnings"]),
        )
    return table
