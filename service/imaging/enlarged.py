"""A lesion map on the source's own pixels, interpolated only where that is asked for.

The source has some forty pixels for one of the working grid. A cell is what lies between four
neighbouring values of the map; its source pixels are interpolated between the four and never leave
their range, so that the four alone decide for most cells whether they reach a threshold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.stitch import LesionMap

ROUNDING = np.float32(1e-6)
"""By how much an interpolated value, in single precision, may leave the range of its four."""

MAX_PIXELS_AT_ONCE = 2**17
"""Of the source, interpolated together: what they take stays in the processor's cache."""

Cells = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns of N cells."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """How the source's pixels lie between the values of a map, along rows or columns.

    Attributes
    ----------
    cell
        intp, by source pixel: the cell it lies in.
    fraction
        float32 in [0, 1), by source pixel: how far it is from the cell's first value to the next.
    starts
        intp, by cell and one more: its first source pixel. A cell may hold none.
    """

    cell: NDArray[np.intp]
    fraction: NDArray[np.float32]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, pixels: int, values: int, part: slice) -> "Axis":
        """Lay `pixels` of the source over `values` of the map, edges aligned.

        The outermost values continue beyond their centres, so there is a cell more than values.
        Cells are counted from the first of `part` on, source pixels from the map's edge on.
        """
        centre = (np.arange(pixels) + 0.5) * (values / pixels) + 0.5
        cell = np.minimum(centre.astype(np.intp), values)
        starts = np.searchsorted(cell, np.arange(part.start, part.stop + 1)).astype(np.intp)
        return cls(cell - part.start, (centre - cell).astype(np.float32), starts)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Source pixels of each cell: intp, shape (cells,)."""
        return np.diff(self.starts)

    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the summed weights of each cell's pixels on its first value and on the next.

        Both float32, shape (cells,); together they are `counts`.
        """
        pixels = slice(self.starts[0], self.starts[-1])
        counts = self.counts
        following = np.bincount(
            self.cell[pixels], weights=self.fraction[pixels], minlength=counts.size
        )
        return (counts - following).astype(np.float32), following.astype(np.float32)

    def pixels(self, cells: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the source pixels of N cells, and which of them are real.

        Both of shape (N, largest of `counts`), intp and bool: a cell with fewer pixels repeats its
        last one, which is not real. Every cell must hold a pixel.
        """
        steps = np.arange(int(self.counts.max()))
        first, last = self.starts[cells][:, None], self.starts[cells + 1][:, None] - 1
        return np.minimum(first + steps, last), first + steps <= last


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The pixels of N cells.

    Attributes
    ----------
    y, x
        intp, shapes (N, h) and (N, w): source pixels, from the corner of the map's box on.
    real
        bool, shape (N, h, w): false where a pixel only fills the array.
    values
        float32, shape (N, h, w).
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    real: NDArray[np.bool_]
    values: NDArray[np.float32]


class EnlargedMap:
    """The part of a lesion map that may reach a level, linear between its values.

    Coordinates are source pixels from the top left of the map's box on. A pixel's value depends
    on nothing but its four neighbours, and is the same on every processor. Not for several threads.

    Parameters
    ----------
    lesion_map
        Some of its probabilities reach `level`.
    level
        In [0, 1].
    """

    def __init__(self, lesion_map: LesionMap, level: float) -> None:
        probability, box = lesion_map.probability, lesion_map.box
        reaches = probability >= np.float32(level) - ROUNDING
        part = _cells_around(reaches, axis=0), _cells_around(reaches, axis=1)
        self.rows = Axis.of(box.rows, probability.shape[0], part[0])
        self.columns = Axis.of(box.columns, probability.shape[1], part[1])
        self.values: NDArray[np.float32] = cv2.copyMakeBorder(
            probability, 1, 1, 1, 1, cv2.BORDER_REPLICATE
        )[part[0].start : part[0].stop + 1, part[1].start : part[1].stop + 1]
        self.low, self.high = _of_four(self.values, np.minimum), _of_four(self.values, np.maximum)

    @cached_property
    def holds_pixels(self) -> NDArray[np.bool_]:
        """Which cells hold a source pixel: bool, shape of `low`."""
        return np.logical_and.outer(self.rows.counts > 0, self.columns.counts > 0)

    @cached_property
    def sums(self) -> NDArray[np.float32]:
        """Sum of the pixels of each cell: float32, shape of `low`."""
        above, below = self.rows.weights()
        by_row: NDArray[np.float32] = (
            self.values[:-1] * above[:, None] + self.values[1:] * below[:, None]
        )
        before, behind = self.columns.weights()
        total: NDArray[np.float32] = by_row[:, :-1] * before + by_row[:, 1:] * behind
        return total

    @property
    def pixels_per_cell(self) -> float:
        """Source pixels of a cell, on average."""
        return float(self.rows.counts.mean() * self.columns.counts.mean())

    def strips(self, box: Box) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield all pixels of a box, some rows at a time.

        Each time which rows of the box they are, and their probabilities: float32, shape (rows of
        the strip, columns of the box).
        """
        column = self.columns.cell[box.left : box.right]
        along = self.columns.fraction[box.left : box.right]
        step = max(1, MAX_PIXELS_AT_ONCE // box.columns)
        for top in range(box.top, box.bottom, step):
            rows = slice(top, min(top + step, box.bottom))
            row = self.rows.cell[rows]
            part = self.values[row[0] : row[-1] + 2]
            across = _between(part[:, column], part[:, column + 1], along)
            row = row - row[0]
            values = _between(across[row], across[row + 1], self.rows.fraction[rows, None])
            yield slice(rows.start - box.top, rows.stop - box.top), values

    def inside(self, cells: Cells) -> Iterator[tuple[slice, Patch]]:
        """Yield the pixels of cells, a bounded number at a time; each cell must hold a pixel."""
        most = int(self.rows.counts.max()) * int(self.columns.counts.max())
        step = max(1, MAX_PIXELS_AT_ONCE // most)
        for start in range(0, len(cells[0]), step):
            some = slice(start, start + step)
            yield some, self._patch(cells[0][some], cells[1][some])

    def _patch(self, row: NDArray[np.intp], column: NDArray[np.intp]) -> Patch:
        y, real_y = self.rows.pixels(row)
        x, real_x = self.columns.pixels(column)
        along = self.columns.fraction[x]
        above, below = (
            _between(self.values[line, column, None], self.values[line, column + 1, None], along)[
                :, None
            ]
            for line in (row, row + 1)
        )
        values = _between(above, below, self.rows.fraction[y][:, :, None])
        return Patch(y, x, real_y[:, :, None] & real_x[:, None], values)


def _cells_around(reached: NDArray[np.bool_], axis: int) -> slice:
    """Return the cells that have a value among those from the first to the last that is reached."""
    values = span_of(reached, axis)
    return slice(values.start, values.stop + 1)


def span_of(hit: NDArray[np.bool_], axis: int) -> slice:
    """Return the range of rows (axis 0) or columns (axis 1) that hold a true value.

    `hit` is bool, shape (rows, columns); at least one of its values must be true.
    """
    indices = np.flatnonzero(np.any(hit, axis=1 - axis))
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _of_four(values: NDArray[np.float32], pick: np.ufunc) -> NDArray[np.float32]:
    by_row = pick(values[:-1], values[1:])
    four: NDArray[np.float32] = pick(by_row[:, :-1], by_row[:, 1:])
    return four


def _between(
    first: NDArray[np.float32], following: NDArray[np.float32], fraction: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate; between two equal values exactly that value, at a whole position the value."""
    result: NDArray[np.float32] = (following - first) * fraction
    result += first
    return result
