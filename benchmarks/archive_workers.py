"""What a second worker brings to an archive: `python -m benchmarks.archive_workers`.

`mammoseg archive --ray` with one worker and with two, in turns, on a Ray cluster of two machines
(processes of this one, a CPU each), the bundled net, small mammograms. Needs the extras `archive`
and `ray`. A worker's start takes as long for few images as for many; so each is called with few and
with many, and the rate between the two is what a worker has once it runs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.archive_files import write_archive
from tests.ray.cluster import two_machines

WORKERS = (1, 2)


def main() -> None:
    """Print a line for each round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--many", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=600, help="of an image, 0.8 mm each")
    options = parser.parse_args()
    say = Console(soft_wrap=True).print
    ratios = []
    with tempfile.TemporaryDirectory() as folder, two_machines() as (cluster, _):
        few, many = (
            write_archive(Path(folder) / str(count), count, (options.rows, options.rows * 4 // 5))
            for count in (options.few, options.many)
        )
        for turn in range(options.rounds):
            rates = {}
            for workers in WORKERS if turn % 2 else WORKERS[::-1]:
                out = Path(folder) / f"out-{turn}-{workers}"
                at_first = _seconds(few, out / "few", cluster.address, workers)
                in_all = _seconds(many, out / "many", cluster.address, workers)
                rates[workers] = (options.many - options.few) / (in_all - at_first)
                say(
                    f"{workers} workers: {options.few} images {at_first:.1f} s, {options.many} "
                    f"{in_all:.1f} s; {rates[workers]:.2f} a second once they run"
                )
            ratios.append(rates[2] / rates[1])
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    say(f"two workers / one: {statistics.median(ratios):.2f} ({each})")


def _seconds(source: Path, out: Path, address: str, workers: int) -> float:
    command = [
        sys.executable,
        "-m",
        "service",
        "archive",
        str(source),
        "--out",
        str(out),
        "--quiet",
    ]
    started = time.monotonic()
    subprocess.run(
        [*command, "--ray", address, "--workers", str(workers)],
        env=os.environ | {"MAMMOSEG_DEVICE": "cpu"},
        check=True,
    )
    return time.monotonic() - started


if __name__ == "__main__":
    main()
