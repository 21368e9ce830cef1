"""What each transfer syntax costs at full size, through the process that reads for a request.

taskset -c 0 python -m benchmarks.syntaxes [--repeat N] [--save FILE]

One core, so pin it. Each figure is the least of all repeats. The time that the core spent on it, in
the service's thread and in the reader, is what the budget bounds: on an idle machine it is the time
that passes, and on a busy one that tells of the others.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import psutil
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.figures import machine
from service.capacity.plan import MIN_READER_MIB
from service.imaging.codecs.rle import RLE_LOSSLESS
from service.imaging.reduced_decoding import ReducedDecoding
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from service.reading.pool import ReaderPool
from service.reading.reader import ReadRequest
from service.settings import Settings
from tests.corpus.view import Stored, left_cc, mammogram

ROWS, COLUMNS = 4096, 3328
RESULT = Path(__file__).parent / "results" / "syntaxes.json"
_JPEG = "1.2.840.10008.1.2.4."


@dataclass(frozen=True, slots=True)
class Case:
    """A transfer syntax, and what it may take; None where nobody set a budget.

    All of the image is read, or half its resolution where `reduction` allows it.
    """

    name: str
    uid: str
    budget_ms: float | None = None
    bits: int = 12
    reduction: ReducedDecoding | None = None


HALF = ReducedDecoding(0.14, pixel_spacing_mm=(0.065, 0.065))
"""What a net at 0.3 mm wants of a detector's image, without pictures."""


NATIVE = Case("explicit little-endian", EXPLICIT_LITTLE, 40)
CASES = (
    NATIVE,
    Case("implicit little-endian", IMPLICIT_LITTLE, 40),
    Case("explicit big-endian", EXPLICIT_BIG, 40),
    Case("deflated", DEFLATED),
    Case("RLE", RLE_LOSSLESS, 60),
    Case("JPEG baseline, 8 bits", f"{_JPEG}50", bits=8),
    Case("JPEG extended, 12 bits", f"{_JPEG}51"),
    Case("JPEG lossless", f"{_JPEG}57", 150),
    Case("JPEG lossless, first order", f"{_JPEG}70", 150),
    Case("JPEG-LS", f"{_JPEG}80", 300),
    Case("JPEG-LS, near-lossless", f"{_JPEG}81", 300),
    Case("HTJ2K, lossless", f"{_JPEG}201", 120),
    Case("HTJ2K, lossless, RPCL", f"{_JPEG}202", 120),
    Case("HTJ2K", f"{_JPEG}203", 120),
    Case("JPEG 2000, lossless", f"{_JPEG}90", 1500),
    Case("JPEG 2000", f"{_JPEG}91", 1500),
    Case("HTJ2K, lossless, at half", f"{_JPEG}201", reduction=HALF),
    Case("JPEG 2000, lossless, at half", f"{_JPEG}90", reduction=HALF),
    Case("JPEG 2000, at half", f"{_JPEG}91", reduction=HALF),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """A row of the table: megabytes of the file, milliseconds of the core and of the clock."""

    name: str
    transfer_syntax_uid: str
    file_mb: float
    core_ms: float
    wall_ms: float
    budget_ms: float | None
    core_of_native: float


def full_size() -> Stored:
    """Return a CBIS view at the size of a large detector, 12 bits."""
    view = left_cc(0).astype(np.float32)
    resized = cv2.resize(view, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    stored: Stored = np.clip(np.rint(resized), 0, 4095).astype(np.int32)
    return stored


def encoded(stored: Stored, case: Case) -> bytes:
    """Write the view in a transfer syntax."""
    if case.bits == 8:
        return mammogram(stored >> 4, case.uid, bits_stored=8, bits_allocated=8)
    return mammogram(stored, case.uid)


def core_seconds(processes: list[psutil.Process]) -> float:
    """Return the time that the first threads of these processes ran on a core (Linux)."""
    ran = (Path(f"/proc/{one.pid}/schedstat").read_text().split()[0] for one in processes)
    return sum(map(int, ran)) / 1e9


def least_ms(
    readers: ReaderPool, body: bytes, reduction: ReducedDecoding | None, repeat: int
) -> tuple[float, float]:
    """Read a file again and again; give the least time of the core, and of the clock."""
    here = psutil.Process()
    both = [here, *here.children()]
    core, wall = [], []
    for _ in range(repeat):
        before, started = core_seconds(both), time.perf_counter()
        readers.read(ReadRequest(body, "dicom", reduction=reduction))
        wall.append(time.perf_counter() - started)
        core.append(core_seconds(both) - before)
    return min(core) * 1e3, min(wall) * 1e3


def measure(repeat: int) -> list[Timing]:
    """Time every case, by readers that are bound as those of the service."""
    stored = full_size()
    options = Settings().reader_options()
    readers = ReaderPool(
        replace(options, count=1, memory_mib=MIN_READER_MIB, deadline_s=60)
    ).wait_until_ready()
    try:
        took = []
        for case in track(CASES, "Reading", console=Console(stderr=True)):
            body = encoded(stored, case)
            took.append((case, len(body), *least_ms(readers, body, case.reduction, repeat)))
    finally:
        readers.close()
    native = next(core for case, _, core, _ in took if case is NATIVE)
    return [
        Timing(
            name=case.name,
            transfer_syntax_uid=case.uid,
            file_mb=round(size / 1e6, 1),
            core_ms=round(core, 1),
            wall_ms=round(wall, 1),
            budget_ms=case.budget_ms,
            core_of_native=round(core / native, 2),
        )
        for case, size, core, wall in took
    ]


def shown(timings: list[Timing], repeat: int) -> Table:
    """Draw the table."""
    title = f"{ROWS} x {COLUMNS}, one core, least of {repeat}"
    columns = ("transfer syntax", "MB", "core ms", "budget", "of native", "wall ms")
    table = Table(*columns, title=title)
    for timing in timings:
        late = timing.budget_ms is not None and timing.core_ms > timing.budget_ms
        table.add_row(
            timing.name,
            f"{timing.file_mb:.1f}",
            f"[red]{timing.core_ms:.0f}[/]" if late else f"{timing.core_ms:.0f}",
            "" if timing.budget_ms is None else f"{timing.budget_ms:.0f}",
            f"{timing.core_of_native:.1f}",
            f"{timing.wall_ms:.0f}",
        )
    return table


def report(timings: list[Timing], repeat: int) -> dict[str, object]:
    """Say what was measured, and on what."""
    return {
        "rows": ROWS,
        "columns": COLUMNS,
        "repeat": repeat,
        "pinned_to_cores": len(os.sched_getaffinity(0)),
        "machine": machine(),
        "timings": [asdict(timing) for timing in timings],
    }


def main(
    repeat: Annotated[int, typer.Option(help="Times that each file is read.")] = 15,
    save: Annotated[Path, typer.Option(help="JSON file to write.")] = RESULT,
) -> None:
    """Print the table, and keep it as JSON."""
    timings = measure(repeat)
    Console().print(shown(timings, repeat))
    save.parent.mkdir(parents=True, exist_ok=True)
    save.write_text(json.dumps(report(timings, repeat), indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
