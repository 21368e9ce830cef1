"""mini-MIAS: digitised film, MLO views, normals and findings given as circles.

Suckling et al., "The Mammographic Image Analysis Society digital mammogram database", 1994.
Layout: findings.csv, images/ID.png, masks/ID.png for some masses.
"""

import csv
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import read_grey, widen
from model_export.datasets.sample import Annotation, Sample
from service.imaging.mammogram import Laterality

SOURCE = "mini-mias"

SPACING_MM = 0.2

Row = dict[str, str]


def read(folder: Path) -> Iterator[Sample]:
    """Read every image once, its findings joined.

    Circles become discs; where a pixel mask exists it replaces them. An image with a finding
    without coordinates is known only as positive: `lesion` is None.

    Parameters
    ----------
    folder
        Holds findings.csv with columns id, patient, tissue, abnormality, x, y_from_top, radius;
        one row a finding, the rows of one image together.
    """
    with (folder / "findings.csv").open(newline="") as table:
        rows = sorted(csv.DictReader(table), key=lambda row: row["id"])
    for name, group in groupby(rows, key=lambda row: row["id"]):
        yield _sample(folder, name, list(group))


def _sample(folder: Path, name: str, findings: list[Row]) -> Sample:
    pixels = widen(read_grey(folder / "images" / f"{name}.png"))
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


def _lesion(
    folder: Path, name: str, findings: list[Row], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | None, Annotation]:
    if all(row["abnormality"] == "NORM" for row in findings):
        return np.zeros(shape, np.bool_), "normal"
    outline = folder / "masks" / f"{name}.png"
    if outline.exists():
        drawn = read_grey(outline) > 127
        if drawn.any():
            return drawn, "pixel_mask"
    # One finding without a place makes every lesion-free claim about this image a guess.
    if any(not row["x"] for row in findings):
        return None, "image_label"
    disc = np.zeros(shape, np.uint8)
    for row in findings:
        centre = (round(float(row["x"])), round(float(row["y_from_top"])))
        cv2.circle(disc, centre, max(1, round(float(row["radius"]))), 1, cv2.FILLED)
    if not disc.any():
        return None, "image_label"
    return disc.astype(np.bool_), "circle"


def _laterality(name: str) -> Laterality:
    """Even numbers are left breasts and odd ones right (the database's own rule)."""
    return "R" if int(name.removeprefix("mdb")[:3]) % 2 else "L"
