"""What an annotation file says of an image: boxes and outlines, not yet checked against it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.datasets.sample import LesionBox

Points = NDArray[np.float64]
"""Corners of an outline, shape (corners, 2): x along columns, y along rows."""


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as COCO packs it: lengths of runs down the columns, background first.

    Attributes
    ----------
    rows, columns
        Of the mask.
    counts
        Adding up to rows * columns.
    """

    rows: int
    columns: int
    counts: tuple[int, ...]

    def decode(self) -> NDArray[np.bool_]:
        """Return the mask: bool, shape (rows, columns), true on the lesion."""
        values = np.arange(len(self.counts)) % 2 == 1
        flat: NDArray[np.bool_] = np.repeat(values, self.counts)
        return flat.reshape(self.columns, self.rows).T


@dataclass(frozen=True, slots=True, eq=False)
class LesionShape:
    """One lesion as a file gives it; at least one of box, polygons and mask is there.

    Attributes
    ----------
    where
        File and row, as messages name it.
    box
        As stated.
    polygons
        The lesion is their union.
    mask
        In place of polygons.
    label
        In the file's own words.
    """

    where: str
    box: LesionBox | None = None
    polygons: tuple[Points, ...] = ()
    mask: RunLengths | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ImageShapes:
    """All that one file says of one image.

    Attributes
    ----------
    where
        The file, as messages name it.
    shapes
        One a lesion; empty where the file says that the image has none.
    size
        (columns, rows) that the image has according to the file, where it says so.
    relative
        Coordinates are shares of the image's columns and rows, not pixels.
    """

    where: str
    shapes: tuple[LesionShape, ...]
    size: tuple[int, int] | None = None
    relative: bool = False
