"""mini-MIAS: digitised film, MLO views, normals and findings given as circles.

Suckling et al., "The Mammographic Image Analysis Society digital mammogram database", 1994.
Two layouts: the original one, Info.txt beside ID.pgm (or below `images/`), circles measured from
the bottom left; and findings.csv with `images/ID.png`, circles measured from the top left, and
`masks/ID.png` for some masses.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import read_grey, widen
from model_export.datasets.sample import Annotation, Sample
from model_export.datasets.tables import DatasetError, Row, number, read_rows
from service.imaging.mammogram import Laterality

SOURCE = "mini-mias"

SPACING_MM = 0.2

TABLE = "findings.csv"
COLUMNS = ("id", "patient", "tissue", "abnormality", "x", "y_from_top", "radius")

INFO = "Info.txt"

SIDE = 1024
"""Rows and columns of every image of the original distribution."""

_LINE = re.compile(
    r"(?P<id>mdb\d+)\s+(?P<tissue>[FGD])\s+(?P<abnormality>[A-Z]{4})"
    r"(\s+(?P<severity>[BM])(\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+))?)?"
)


def read(folder: Path) -> Iterator[Sample]:
    """Read every image once, its findings joined.

    Circles become discs; where a pixel mask exists it replaces them. An image with a finding
    without coordinates (the database's note 4) is known only as positive: `lesion` is None.

    Parameters
    ----------
    folder
        In one of the two layouts.

    Raises
    ------
    DatasetError
        Neither table is there, a row of it makes no sense, or an image that it names is missing.
    """
    original = not (folder / TABLE).exists() and (folder / INFO).exists()
    rows = _info(folder) if original else read_rows(folder, TABLE, COLUMNS)
    rows = sorted(rows, key=lambda row: row["id"])
    for name, group in groupby(rows, key=lambda row: row["id"]):
        yield _sample(folder, name, list(group))


def _info(folder: Path) -> list[Row]:
    """Read the original table into the columns of findings.csv; its other lines are prose."""
    rows = []
    for line in (folder / INFO).read_text(errors="replace").splitlines():
        if not line.startswith("mdb"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise DatasetError(f"{INFO}: not a row of the table: {line.strip()!r}")
        found = match.groupdict(default="")
        # Note 1: films 2k - 1 and 2k are one patient. Counted from 0 as in findings.csv, so that
        # a patient is on the same side of the split in both layouts.
        found["patient"] = str((int(found["id"].removeprefix("mdb")) - 1) // 2)
        found["y_from_top"] = str(SIDE - int(found["y"])) if found["y"] else ""
        rows.append(found)
    return rows


def _sample(folder: Path, name: str, findings: list[Row]) -> Sample:
    pixels = widen(read_grey(folder, _image(folder, name)))
    lesion, annotation = _lesion(folder, name, findings, (pixels.shape[0], pixels.shape[1]))
    return Sample(
        source=SOURCE,
        name=name,
        patient=findings[0]["patient"],
        pixels=pixels,
        pixel_spacing_mm=(SPACING_MM, SPACING_MM),
        has_lesion=annotation != "normal",
        annotation=annotation,
        lesion=lesion,
        intent="film",
        laterality=_laterality(name),
        view_position="MLO",
        density=findings[0]["tissue"] or None,
    )


def _image(folder: Path, name: str) -> str:
    paths = [f"images/{name}.png", f"images/{name}.pgm", f"{name}.pgm"]
    return next((path for path in paths if (folder / path).exists()), paths[0])


def _lesion(
    folder: Path, name: str, findings: list[Row], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | None, Annotation]:
    if all(row["abnormality"] == "NORM" for row in findings):
        return np.zeros(shape, np.bool_), "normal"
    outline = f"masks/{name}.png"
    if (folder / outline).exists():
        drawn = read_grey(folder, outline) > 127
        if drawn.any():
            return drawn, "pixel_mask"
    # One finding without a place makes every lesion-free claim about this image a guess.
    if any(not row["x"] for row in findings):
        return None, "image_label"
    disc = np.zeros(shape, np.uint8)
    for row in findings:
        x, y, radius = (round(number(row, key, TABLE)) for key in ("x", "y_from_top", "radius"))
        cv2.circle(disc, (x, y), max(1, radius), 1, cv2.FILLED)
    if not disc.any():
        return None, "image_label"
    return disc.astype(np.bool_), "circle"


def _laterality(name: str) -> Laterality:
    """Even numbers are left breasts and odd ones right (the database's own rule)."""
    return "R" if int(name.removeprefix("mdb")[:3]) % 2 else "L"
