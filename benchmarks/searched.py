"""What is searched: the tiles run of those that a plain grid would run, and the lesions missed.

python -m benchmarks.searched [--data FOLDER] [--model FILE] [--working-mm MM]

The plain grid is what a server without an idea of a breast runs: whole tiles over the whole image.
A lesion pixel counts as lost where no tile holds it, or where it lies outside the breast region,
since nothing is found there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Self

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from model_export.datasets import read_source, sources_in
from model_export.datasets.sample import Sample
from service.imaging.breast import Box
from service.imaging.resample import breast_on_working_grid
from service.imaging.tiles import cut, origins
from service.inference.contract import Contract
from service.inference.session import Session
from service.models import BUNDLED_MODEL


@dataclass(frozen=True, slots=True)
class Searched:
    """Sums over images; areas in pixels of the working grid, lesions in pixels of the source."""

    images: int = 0
    plain_tiles: int = 0
    tiles: int = 0
    plain_area: int = 0
    area: int = 0
    lesion: int = 0
    outside_tiles: int = 0
    outside_breast: int = 0
    images_that_lose: int = 0

    def __add__(self, other: Self) -> "Searched":
        return Searched(
            *(getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        )


def searched(sample: Sample, contract: Contract, working_mm: float) -> Searched:
    """Lay both grids over one image."""
    tiling, mammogram = contract.tiling, sample.to_mammogram()
    _, working = breast_on_working_grid(
        mammogram,
        source_spacing_mm=sample.pixel_spacing_mm,
        working_mm=working_mm,
        normalisation=contract.normalisation,
    )
    tiles = cut(
        working, shapes=tiling.shapes, stride=tiling.stride, whole_pixels=tiling.whole_pixels
    )
    covered = np.zeros(working.pixels.shape, np.bool_)
    for tile in tiles:
        rows, columns = tile.pixels.shape
        covered[tile.row : tile.row + rows, tile.column : tile.column + columns] = True
    plain = 1
    for side, spacing in zip(sample.pixels.shape, sample.pixel_spacing_mm, strict=True):
        plain *= len(origins(round(side * spacing / working_mm), tiling.tile_size, tiling.stride))
    lesion = np.zeros(sample.pixels.shape, np.bool_) if sample.lesion is None else sample.lesion
    lost, unsearched = (
        int((lesion & ~on_source(inside, working.box, sample.pixels.shape)).sum())
        for inside in (covered & working.breast, covered)
    )
    return Searched(
        images=1,
        plain_tiles=plain,
        tiles=len(tiles),
        plain_area=plain * tiling.tile_size**2,
        area=sum(tile.pixels.size for tile in tiles),
        lesion=int(lesion.sum()),
        outside_tiles=unsearched,
        outside_breast=lost,
        images_that_lose=int(lost > 0),
    )


def on_source(inside: NDArray[np.bool_], box: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask of the working grid, which covers `box`, on the source's pixels."""
    whole = np.zeros(shape, np.bool_)
    size = (box.columns, box.rows)
    enlarged = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    whole[box.top : box.bottom, box.left : box.right] = enlarged > 0
    return whole


def each(data: Path, contract: Contract, working_mm: float) -> Iterator[tuple[str, Searched]]:
    """Go through every source of a data folder."""
    for source in sources_in(data):
        total = Searched()
        for sample in track(read_source(data, source), description=source, total=None):
            total += searched(sample, contract, working_mm)
        yield source, total


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds one folder a data set.")] = Path(
        "../shared/data"
    ),
    model: Annotated[Path, typer.Option(help="ONNX file, for its contract.")] = BUNDLED_MODEL,
    working_mm: Annotated[float | None, typer.Option(help="Instead of the contract's.")] = None,
) -> None:
    """Print the table."""
    contract = Session.open(model).contract
    spacing_mm = working_mm or contract.spacing.working_mm
    table = Table(
        "source", "images", "tiles of a plain grid's", "net's work of a plain grid's",
        "lesion pixels", "in no tile", "outside the breast", "images that lose any",
        title=f"{contract.name} {contract.version} at {spacing_mm:g} mm",
    )  # fmt: skip
    for source, found in each(data, contract, spacing_mm):
        table.add_row(
            source,
            f"{found.images}",
            f"{found.tiles} / {found.plain_tiles} = {found.tiles / found.plain_tiles:.2f}",
            f"{found.area / found.plain_area:.2f}",
            f"{found.lesion}",
            f"{found.outside_tiles}",
            f"{found.outside_breast} ({found.outside_breast / max(1, found.lesion):.2%})",
            f"{found.images_that_lose}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    typer.run(main)
