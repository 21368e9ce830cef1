"""CBIS-DDSM's masses at 800 x 800: film, a box and a pathology for every mass, pseudo-outlines.

Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis
research", Scientific Data 2017; TCIA 10.7937/K9/TCIA.2016.7O02S9CY. CC BY 3.0.

Layout: images.csv, boxes.csv, images/NAME.jpg, masks/NAME.png. The copies were squeezed to a
square; here each gets back the proportions of its film, with its long side kept. The outlines in
masks/ were drawn by a net that was given the box, not by radiologists.

Spacing: CBIS-DDSM states none, so the long side is taken as the service takes it: a DICOM file of
the set is then served at the scale that was trained.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import ASSUMED_LONG_SIDE_MM, read_grey, widen
from model_export.datasets.sample import LesionBox, Sample
from model_export.datasets.splits import Part
from model_export.datasets.tables import DatasetError, Row, number, read_rows
from service.imaging.mammogram import Laterality, Mammogram
from service.imaging.pixel_size import spacing_or_assumed

SOURCE = "cbis-ddsm-800"

IMAGES = "images.csv"
IMAGE_COLUMNS = (
    "name",
    "part",
    "patient",
    "laterality",
    "view",
    "density",
    "pathology",
    "original_columns",
    "original_rows",
)

BOXES = "boxes.csv"
BOX_COLUMNS = ("name", "x", "y", "width", "height")

PARTS = ("train", "test")


def read(folder: Path) -> Iterator[Sample]:
    """Read every image of the table.

    Parameters
    ----------
    folder
        Holds images.csv, boxes.csv, images/ and masks/.

    Raises
    ------
    DatasetError
        A table, a column or a file is missing, a row makes no sense, or an image has no box.
    """
    boxes: dict[str, list[Row]] = defaultdict(list)
    for row in read_rows(folder, BOXES, BOX_COLUMNS):
        boxes[row["name"]].append(row)
    for row in read_rows(folder, IMAGES, IMAGE_COLUMNS):
        if row["name"] not in boxes:
            raise DatasetError(f"{BOXES} has no row for {row['name']}")
        yield _sample(folder, row, boxes[row["name"]])


def _sample(folder: Path, row: Row, boxes: Sequence[Row]) -> Sample:
    if row["part"] not in PARTS:
        raise DatasetError(f"{IMAGES}: part of {row['name']} is {row['part']!r}, not train or test")
    squeezed = read_grey(folder, f"images/{row['name']}.jpg")
    outline = read_grey(folder, f"masks/{row['name']}.png")
    if outline.shape != squeezed.shape:
        raise DatasetError(f"masks/{row['name']}.png is not as large as its image")
    shape = _proportions(row, (squeezed.shape[0], squeezed.shape[1]))
    pixels = widen(_resized(squeezed, shape))
    lesion = _resized(outline, shape) > 127
    if not lesion.any():
        raise DatasetError(f"masks/{row['name']}.png is empty")
    unmeasured = Mammogram(pixels=pixels, pixel_spacing_mm=None)
    return Sample(
        source=SOURCE,
        name=row["name"],
        patient=row["patient"],
        pixels=pixels,
        pixel_spacing_mm=spacing_or_assumed(unmeasured, ASSUMED_LONG_SIDE_MM)[0],
        has_lesion=True,
        annotation="pseudo_outline",
        lesion=lesion,
        boxes=tuple(_box(one, squeezed.shape, shape) for one in boxes),
        part=cast(Part, row["part"]),
        intent="film",
        laterality=cast(Laterality, row["laterality"]),
        view_position=row["view"],
        density=row["density"] or None,
        pathology=row["pathology"] or None,
    )


def _proportions(row: Row, squeezed: tuple[int, int]) -> tuple[int, int]:
    """Return the (rows, columns) that an image has in its film's proportions, long side kept."""
    rows = number(row, "original_rows", IMAGES)
    columns = number(row, "original_columns", IMAGES)
    if rows <= 0 or columns <= 0:
        raise DatasetError(f"{IMAGES}: original size of {row['name']} is not above 0")
    scale = max(squeezed) / max(rows, columns)
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def _resized(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    resized: NDArray[np.uint8] = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    return resized


def _box(row: Row, squeezed: tuple[int, ...], shape: tuple[int, int]) -> LesionBox:
    down, across = shape[0] / squeezed[0], shape[1] / squeezed[1]
    x, y, width, height = (number(row, key, BOXES) for key in BOX_COLUMNS[1:])
    return LesionBox(x * across, y * down, width * across, height * down)
