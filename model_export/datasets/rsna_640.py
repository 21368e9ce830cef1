"""RSNA 2022 screening challenge at 640 x 640: whole-image labels only.

A cancer makes an image positive. No cancer does not make it lesion-free (benign findings are not
labelled), so training weighs these negatives down. Layout: labels.csv, images/NAME.jpg.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import read_grey, widen
from model_export.datasets.sample import Sample
from model_export.datasets.tables import DatasetError, read_rows
from service.imaging.polarity import background_is_bright

SOURCE = "rsna-640"

TABLE = "labels.csv"
COLUMNS = ("name", "patient", "cancer")

SPACING_MM = 0.37
"""After stretching back to 512 columns x 640 rows."""

SHAPE = (640, 512)
"""(rows, columns)."""

EMPTY_FRACTION = 0.02
"""Frames with less of their area clearly above the background show no breast."""


def read(folder: Path) -> Iterator[Sample]:
    """Read every image that shows a breast, in upright polarity and aspect.

    Parameters
    ----------
    folder
        Holds labels.csv and images/.

    Raises
    ------
    DatasetError
        The table, one of its columns or an image that it names is missing, or a label is neither
        1 nor 0.
    """
    for row in read_rows(folder, TABLE, COLUMNS):
        if row["cancer"] not in ("0", "1"):
            raise DatasetError(f"{TABLE}: cancer of {row['name']} is {row['cancer']!r}, not 1 or 0")
        squeezed = read_grey(folder, f"images/{row['name']}.jpg")
        pixels = widen(cv2.resize(squeezed, SHAPE[::-1], interpolation=cv2.INTER_AREA))
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
    """Say whether almost nothing stands out of a dark background; uint16, (rows, columns)."""
    background = float(np.percentile(pixels, 2.0))
    return float((pixels > background + 0.08 * 65535).mean()) < EMPTY_FRACTION
