"""RSNA 2022 screening challenge at 640 x 640: whole-image labels only.

A cancer makes an image positive. No cancer does not make it lesion-free (benign findings are not
labelled), so training weighs these negatives down. Layout: labels.csv, images/NAME.jpg.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import read_grey, widen
from model_export.datasets.sample import Sample
from service.imaging.polarity import background_is_bright

SOURCE = "rsna-640"

SPACING_MM = 0.37
"""After stretching back to 512 columns x 640 rows."""

COLUMNS = 512
ROWS = 640

EMPTY_FRACTION = 0.02
"""Frames with less of their area clearly above the background show no breast."""


def read(folder: Path) -> Iterator[Sample]:
    """Read every image that shows a breast, in upright polarity and aspect.

    Parameters
    ----------
    folder
        Holds labels.csv with columns name, patient, cancer.
    """
    with (folder / "labels.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            squeezed = read_grey(folder / "images" / f"{row['name']}.jpg")
            pixels = widen(cv2.resize(squeezed, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA))
            if background_is_bright(pixels):
                pixels = np.uint16(65535) - pixels
            if is_nearly_empty(pixels):
                continue
            yield Sample(
                source=SOURCE,
                name=row["name"],
                patient=row["patient"],
                pixels=pixels,
                pixel_spacing_mm=(SPACING_MM, SPACING_MM),
                has_lesion=row["cancer"] == "1",
                annotation="image_label",
                intent="presentation",
            )


def is_nearly_empty(pixels: NDArray[np.uint16]) -> bool:
    """Say whether almost nothing stands out of a dark background."""
    background = float(np.percentile(pixels, 2.0))
    return float((pixels > background + 0.08 * 65535).mean()) < EMPTY_FRACTION
