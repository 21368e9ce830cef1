"""The breast as one tile of its own shape, against tiles of the fixed shapes: the net's time alone.

python -m benchmarks.whole [--model FILE] [--repeat N]

On one core, in turns; the ratio says which way to go. A new shape's first run is set against its
second, since whole breasts come in hundreds of shapes that no warm-up has seen.
"""

import statistics
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.bodies import working_image
from service.imaging.resample import WorkingImage
from service.imaging.tiles import cut
from service.inference.contract import Contract
from service.inference.session import Session
from service.models import BUNDLED_MODEL

SPACINGS_MM = (0.05, 0.06, 0.07, 0.08, 0.085)
"""Of the same view: breasts of five sizes."""


def inputs(image: WorkingImage, contract: Contract, most: int) -> list[NDArray[np.float32]]:
    """Cut the image, whole where it has at most so many pixels, into what a session takes."""
    tiling = contract.tiling
    tiles = cut(image, shapes=tiling.shapes, stride=tiling.stride, whole_pixels=most)
    return [tile.pixels[np.newaxis, np.newaxis] for tile in tiles]


def core_ms(session: Session, tiles: list[NDArray[np.float32]]) -> float:
    """Return the processor time of one image's runs, in milliseconds."""
    started = time.thread_time()
    for tile in tiles:
        session.run(tile)
    return (time.thread_time() - started) * 1e3


def main(
    model: Annotated[Path, typer.Option(help="ONNX file.")] = BUNDLED_MODEL,
    repeat: Annotated[int, typer.Option(help="Rounds.")] = 9,
) -> None:
    """Print the table."""
    session = Session.open(model)
    contract = session.contract
    table = Table("working image", "fixed shapes", "whole", "whole / fixed", "first / second run")
    for spacing_mm in SPACINGS_MM:
        image = working_image(spacing_mm, contract)
        fixed, whole = (inputs(image, contract, most) for most in (0, session.whole_pixels))
        first, second = core_ms(session, whole), core_ms(session, whole)
        rounds = [(core_ms(session, fixed), core_ms(session, whole)) for _ in range(repeat)]
        shapes = (" ".join(f"{t.shape[2]}x{t.shape[3]}" for t in one) for one in (fixed, whole))
        ratio = statistics.median(own / other for other, own in rounds)
        size = "x".join(map(str, image.pixels.shape))
        table.add_row(size, *shapes, f"{ratio:.2f}", f"{first / second:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
