"""What reading in another process costs: `python -m benchmarks.reader_boundary`.

Processor time of one read by a reader behind its walls (its process included) and by this process,
in turns; milliseconds of a core. Bodies lie where the service receives them, so that what is told
is the boundary alone: the body handed over, the walls, the pixels handed back.
"""

import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from benchmarks.bodies import dicom_of, film, pixels
from service.imaging.reader import ReadLimits
from service.reading.pool import ReaderPool
from service.reading.reader import InProcess, ReadRequest
from service.settings import Settings

ROUNDS, READS = 30, 2
SPACING_MM = 0.07


def main() -> None:
    """Print one line for each body."""
    larger = np.pad(pixels(), ((384, 384), (0, 512)))
    pool, inside = (
        ReaderPool(Settings().reader_options()).wait_until_ready(),
        InProcess(ReadLimits()),
    )
    try:
        for name, body in (
            ("uncompressed, 17 MB", dicom_of(SPACING_MM)),
            ("uncompressed, 25 MB", dicom_of(SPACING_MM, larger)),
            ("film, RLE Lossless", film()),
        ):
            buffer = pool.buffers.take(len(body))
            buffer.memory[: len(body)] = body
            request = ReadRequest(pool.buffers.lend_bytes(buffer, len(body)), "dicom")
            _report(name, partial(pool.read, request), partial(inside.read, request))
    finally:
        pool.close()


def _report(name: str, there: Callable[[], object], here: Callable[[], object]) -> None:
    for work in (there, here):
        core_ms(work)
    turns = [[core_ms(work) for work in (there, here, here, there)] for _ in range(ROUNDS)]
    price = [(a + d - b - c) / 2 for a, b, c, d in turns]
    own = statistics.median((b + c) / 2 for _, b, c, _ in turns)
    spread = statistics.stdev(price) / ROUNDS**0.5
    sys.stdout.write(
        f"{name}: {own:.1f} in this process, {statistics.median(price):+.1f} behind the walls"
        f" (standard error {spread:.1f})\n"
    )


def core_ms(work: Callable[[], object]) -> float:
    """Return the processor time of one call, of this process and its children, in milliseconds."""
    began = _nanoseconds()
    for _ in range(READS):
        work()
    return (_nanoseconds() - began) / READS / 1e6


def _nanoseconds() -> int:
    """Return what the scheduler has counted; times of processes come in ticks of 10 ms."""
    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        for file in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            total += int(file.read_text().split()[0])
    return total


if __name__ == "__main__":
    main()
