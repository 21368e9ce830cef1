"""Takes the table of a GPU: python -m benchmarks.gpu --inputs DIR --out DIR; `go.py` calls it.

Each step is a process of its own with an end: what hangs or dies costs its own rows.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.figures import Figure, machine, save
from benchmarks.gpu.nvidia import gpu
from benchmarks.gpu.steps import STEPS

STAND_IN_FACTOR = 6
"""A rehearsal, on few and busy cores, gives each step so many times its time."""

MIN_STEP_S = 5.0
"""A step with less time left is not begun."""


def main(
    inputs: Annotated[Path, typer.Option(help="Folder with views and half.onnx.")],
    out: Annotated[Path, typer.Option(help="Folder for table.md, the JSON and the logs.")],
    seconds: Annotated[float, typer.Option(help="Time for all of it.")] = 540.0,
    stand_in: Annotated[bool, typer.Option(help="The CPU stands in for the GPU.")] = False,
    short: Annotated[bool, typer.Option(help="Few requests.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Steps to take, else all.")] = None,
) -> None:
    """Take one step after the other, and write the table after each."""
    ends = time.monotonic() + seconds
    rows: dict[str, list[Figure]] = {}
    wanted = only or [*STEPS]
    if unknown := set(wanted) - STEPS.keys():
        raise typer.BadParameter(f"no step is called {', '.join(unknown)}")
    for name, (_, most_s) in STEPS.items():
        if name not in wanted:
            continue
        most_s *= STAND_IN_FACTOR if stand_in else 1
        left = min(most_s, ends - time.monotonic())
        started = time.monotonic()
        rows[name] = (
            [Figure("not begun: no time was left", 0.0, "")]
            if left < MIN_STEP_S
            else _taken(name, inputs, out, left, stand_in=stand_in, short=short)
        )
        rows[name].append(Figure("the step took", time.monotonic() - started, "s"))
        (out / "table.md").write_text(_table(rows, stand_in=stand_in), encoding="utf-8")
    save(out, rows, "see the rows")


def _taken(
    name: str, inputs: Path, out: Path, most_s: float, *, stand_in: bool, short: bool
) -> list[Figure]:
    """Run one step in a process; what it does not give is a row that says so."""
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch) / "rows.json"
        command = [sys.executable, "-m", "benchmarks.gpu.steps", name, str(inputs), str(given)]
        command += [flag for flag, on in (("--stand-in", stand_in), ("--short", short)) if on]
        with (out / f"{name}.log").open("wb") as log:
            step = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                status = f"ended with {step.wait(timeout=most_s)}"
            except subprocess.TimeoutExpired:
                status = f"took longer than {most_s:.0f} s"
            finally:
                # Servers that it started, too.
                _kill_group(step.pid)
                step.wait()
        rows = [Figure(**row) for row in json.loads(given.read_text())] if given.is_file() else []
    if status != "ended with 0":
        rows.append(Figure(f"{status}; see {name}.log", 0.0, ""))
    return rows


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _table(rows: dict[str, list[Figure]], *, stand_in: bool) -> str:
    told = machine()
    lines = [
        "# Rehearsed on a CPU: no figure is a GPU's" if stand_in else f"# {gpu()}",
        "",
        f"{told['processor']}, {told['cores']} cores, {told['instructions']}; {told['versions']}",
        "",
        "| step | figure | value | made of |",
        "|---|---|---|---|",
    ]
    for name, figures in rows.items():
        for one in figures:
            value = f"{one.value:.4g} {one.unit}" if one.unit else ""
            lines.append(f"| {name} | {one.what} | {value} | {one.note} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
