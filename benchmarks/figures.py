"""One figure of the table: what was measured, what it shall be, and whether it is."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy
from rich.table import Table

from benchmarks import avx2_only
from service.system.cores import available_cores

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "numpy", "opencv-python-headless", "fastapi",
            "uvicorn", "httptools", "uvloop", "torch", "monai", "litserve", "ray")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One row.

    Attributes
    ----------
    what, value, unit
        A ratio has the unit "x".
    least, most
        Bounds to reach; None for a figure that only informs.
    note
        What the figure is made of.
    """

    what: str
    value: float
    unit: str = "x"
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the bounds hold; None without any."""
        if self.least is None and self.most is None:
            return None
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


def table_of(title: str, figures: Sequence[Figure]) -> Table:
    """Lay out the rows."""
    table = Table("figure", "value", "to reach", "", "made of", title=title, title_justify="left")
    marks = {True: "[green]yes", False: "[red]no", None: ""}
    for one in figures:
        bounds = [f">= {one.least:g}"] if one.least is not None else []
        bounds += [f"<= {one.most:g}"] if one.most is not None else []
        value = f"{one.value:.3g} {one.unit}"
        table.add_row(one.what, value, " ".join(bounds), marks[one.reached], one.note)
    return table


def save(folder: Path, figures: Mapping[str, Sequence[Figure]], model: str) -> Path:
    """Write all rows as JSON, with the machine and the versions they belong to."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    document = {
        "taken": now.isoformat(timespec="seconds"),
        "model": model,
        "machine": machine(),
        "figures": {
            name: [asdict(one) | {"reached": one.reached} for one in rows]
            for name, rows in figures.items()
        },
    }
    file = folder / f"{now:%Y%m%d-%H%M%S}.json"
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return file


def machine() -> dict[str, object]:
    """Say what the figures were taken on: processor, cores, load, versions."""
    return {
        "processor": _processor(),
        "instructions": instructions(),
        "cores": available_cores(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


INSTRUCTIONS = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "VNNI": "avx512_vnni",
    "BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
"""What the net's speed hangs on most, and what Linux calls it."""


def instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the instruction sets that a figure belongs to: the processor's, but for hidden ones."""
    if avx2_only.is_on():
        return "AVX2 (all newer hidden)"
    flags = _of_processor("flags", cpuinfo).split()
    return ", ".join(name for name, flag in INSTRUCTIONS.items() if flag in flags) or "unknown"


def _processor() -> str:
    return _of_processor("model name", Path("/proc/cpuinfo")) or platform.processor()


def _of_processor(field: str, cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(field))
    return next(found, "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except ModuleNotFoundError:
        return None


def median(values: Sequence[float]) -> float:
    """Return the middle."""
    return float(numpy.median(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` per cent lie."""
    return float(numpy.percentile(values, share))
