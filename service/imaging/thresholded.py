"""A lesion map at a threshold: of most source pixels, the four values around them decide."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.enlarged import ROUNDING, Cells, EnlargedMap, Patch, span_of
from service.imaging.pieces import Contours, Piece, filled, traced

SMALL_PIXELS = 2**13
"""Up to so many source pixels in its box, a piece's values are simply all interpolated."""

FEW_PIXELS = 12
"""Up to so many source pixels a cell, all are interpolated: to tell cells apart takes longer."""


BAND = 8
"""Rows of cells that are interpolated together."""


class ThresholdedMap:
    """The pieces of a map at or above a threshold.

    Parameters
    ----------
    enlarged
        The map.
    threshold
        In [0, 1].
    """

    def __init__(self, enlarged: EnlargedMap, threshold: float) -> None:
        self._map = enlarged
        self._borders: list[Contours] = []
        self._cells: _Cells | None = None
        reaches = enlarged.high >= np.float32(threshold) - ROUNDING
        reaches &= enlarged.holds_pixels
        if not reaches.any():
            return
        part = span_of(reaches, 0), span_of(reaches, 1)
        if enlarged.pixels_per_cell <= FEW_PIXELS:
            drawn = _drawn(enlarged, np.float32(threshold), reaches, part)
        else:
            self._cells = _Cells(enlarged, np.float32(threshold), reaches)
            drawn = self._cells.drawn(part)
        top, left = enlarged.rows.starts[part[0].start], enlarged.columns.starts[part[1].start]
        self._borders = traced(drawn, int(top), int(left))

    def starts(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return a source pixel of each piece: y and x, two arrays of intp, shape (pieces,)."""
        firsts = [borders[0][0, 0] for borders in self._borders]
        x, y = np.array(firsts, np.intp).reshape(-1, 2).T
        return y, x

    def pieces(self, minimum_pixels: float = 0.0) -> Iterator[Piece]:
        """Yield the pieces of at least so many source pixels."""
        for borders in self._borders:
            if (piece := filled(borders, minimum_pixels)) is not None:
                yield piece

    def maximum_and_mean(self, piece: Piece) -> tuple[float, float]:
        """Return the largest probability of one of these pieces, and the mean over its pixels."""
        if self._cells is not None and piece.pixels.size > SMALL_PIXELS:
            highest, total = self._cells.of_border(piece)
            highest, inner = self._cells.of_inner(piece, highest)
            return highest, (total + inner) / piece.area
        highest = total = 0.0
        for rows, values in self._map.strips(piece.box):
            own = values[piece.pixels[rows]]
            highest = max(highest, float(own.max(initial=0.0)))
            total += float(own.sum(dtype=np.float64))
        return highest, total / piece.area


class _Cells:
    """Which cells reach the threshold as a whole, and the pixels of those that only may.

    A cell is inner where all of its pixels reach the threshold, and border where only some may:
    those alone are interpolated. The pixels of a cell that reach it touch each other, so that one
    of them speaks for all; but where two opposite corners alone do, the cell is a saddle.
    """

    def __init__(
        self, enlarged: EnlargedMap, threshold: np.float32, reaches: NDArray[np.bool_]
    ) -> None:
        self._map, self._threshold = enlarged, threshold
        self._flat = enlarged.low == enlarged.high
        self._inner = (enlarged.low >= threshold + ROUNDING) & reaches
        self._inner |= self._flat & (enlarged.low >= threshold) & reaches
        self._border = _indices(reaches & ~(self._inner | self._flat))
        count = len(self._border[0])
        self._saddle = np.zeros(count, np.bool_)
        self._spokesman = np.empty((2, count), np.intp)
        self._sums, self._peaks = np.empty((2, count), np.float32)

    def drawn(self, part: tuple[slice, slice]) -> NDArray[np.uint8]:
        """Draw the source's pixels that reach the threshold: uint8, 1 on them.

        `part` must hold every cell that has such a pixel.
        """
        rows, columns = self._map.rows, self._map.columns
        drawn = np.repeat(self._inner[part].view(np.uint8), columns.counts[part[1]], axis=1)
        drawn = np.repeat(drawn, rows.counts[part[0]], axis=0)
        top, left = rows.starts[part[0].start], columns.starts[part[1].start]
        flat, width = drawn.reshape(-1), drawn.shape[1]
        for some, patch in self._map.inside(self._border):
            reaches = patch.values >= self._threshold
            flat[((patch.y - top) * width)[:, :, None] + (patch.x - left)[:, None]] = reaches
            self._note(some, patch, reaches)
        return drawn

    def _note(self, some: slice, patch: Patch, reaches: NDArray[np.bool_]) -> None:
        """Keep of border cells: sum and maximum of what reaches the threshold, and where it is."""
        self._sums[some] = np.einsum("nij,nij->n", patch.values, reaches & patch.real)
        self._peaks[some] = patch.values.max(axis=(1, 2))
        # On a line, values rise to one end: where any pixel reaches the threshold, a corner does.
        corners = reaches[:, :: max(1, reaches.shape[1] - 1), :: max(1, reaches.shape[2] - 1)]
        one, other = corners[:, 0, 0] & corners[:, -1, -1], corners[:, 0, -1] & corners[:, -1, 0]
        self._saddle[some] = (one | other) & ~(one & other) & (corners.sum(axis=(1, 2)) == 2)
        which = corners.reshape(len(corners), -1).argmax(axis=1)
        row, column = np.divmod(which, corners.shape[2])
        each = np.arange(len(which))
        self._spokesman[0, some] = patch.y[each, -row]
        self._spokesman[1, some] = patch.x[each, -column]

    def of_border(self, piece: Piece) -> tuple[float, float]:
        """Return the largest value and the sum of a piece's pixels in border cells."""
        cells, rows = self._border, self._map.rows.cell
        # Cells are in reading order.
        first, end = np.searchsorted(
            cells[0], (rows[piece.box.top], rows[piece.box.bottom - 1] + 1)
        )
        near = slice(int(first), int(end))
        own = ~self._saddle[near] & piece.holds(*self._spokesman[:, near])
        highest = float(self._peaks[near][own].max(initial=0.0))
        total = float(self._sums[near][own].sum(dtype=np.float64))
        saddles = np.flatnonzero(self._saddle[near]) + near.start
        for _, patch in self._map.inside((cells[0][saddles], cells[1][saddles])):
            held = patch.real & piece.holds(patch.y[:, :, None], patch.x[:, None])
            values = patch.values[held]
            highest = max(highest, float(values.max(initial=0.0)))
            total += float(values.sum(dtype=np.float64))
        return highest, total

    def of_inner(self, piece: Piece, highest: float) -> tuple[float, float]:
        """Return the same of inner cells, the largest of them and `highest`."""
        rows, y = _first_pixels(self._map.rows.starts, piece.box.top, piece.box.bottom)
        columns, x = _first_pixels(self._map.columns.starts, piece.box.left, piece.box.right)
        part = np.s_[rows, columns]
        own = self._inner[part] & piece.pixels[np.ix_(y, x)]
        if not own.any():
            return highest, 0.0
        low, high, flat = self._map.low[part], self._map.high[part], self._flat[part]
        highest = max(highest, float(low.max(where=own & flat, initial=0.0)))
        highest = max(highest, float(low.max(where=own, initial=0.0) - ROUNDING))
        # Only where one of the four values is larger can there be a larger one between them.
        row, column = _indices(own & ~flat & (high + ROUNDING >= highest))
        for _, patch in self._map.inside((row + rows.start, column + columns.start)):
            highest = max(highest, float(patch.values.max()))
        return highest, float(self._map.sums[part].sum(where=own, dtype=np.float64))


def _drawn(
    enlarged: EnlargedMap,
    threshold: np.float32,
    reaches: NDArray[np.bool_],
    part: tuple[slice, slice],
) -> NDArray[np.uint8]:
    """Draw the source's pixels of some cells, each interpolated, from first to last in a band.

    Candidates are few and lie apart: between them nothing is interpolated.
    """
    rows, columns = enlarged.rows.starts, enlarged.columns.starts
    top, left = int(rows[part[0].start]), int(columns[part[1].start])
    shape = int(rows[part[0].stop]) - top, int(columns[part[1].stop]) - left
    drawn = np.zeros(shape, np.bool_)
    for first in range(part[0].start, part[0].stop, BAND):
        end = min(first + BAND, part[0].stop)
        hits = np.flatnonzero(reaches[first:end].any(axis=0))
        if not hits.size:
            continue
        box = Box(
            int(rows[first]), int(columns[hits[0]]), int(rows[end]), int(columns[hits[-1] + 1])
        )
        here = drawn[box.top - top : box.bottom - top, box.left - left : box.right - left]
        for strip, values in enlarged.strips(box):
            np.greater_equal(values, threshold, out=here[strip])
    return drawn.view(np.uint8)


def _indices(cells: NDArray[np.bool_]) -> Cells:
    """Return the rows and columns of what is true, in reading order; faster than `np.nonzero`."""
    row, column = np.divmod(np.flatnonzero(cells), cells.shape[1])
    return row, column


def _first_pixels(starts: NDArray[np.intp], first: int, end: int) -> tuple[slice, NDArray[np.intp]]:
    """Return the cells that lie whole in [first, end), and their first pixels from `first` on."""
    begin = int(np.searchsorted(starts, first))
    last = int(np.searchsorted(starts, end, side="right")) - 1
    cells = slice(begin, max(begin, last))
    return cells, np.minimum(starts[cells] - first, end - first - 1)
