"""What `find_regions` shall find, in the plainest way: every source pixel, one pass a question."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.regions import CONTOUR_TOLERANCE, Region
from service.imaging.stitch import LesionMap

Values = NDArray[np.float32]
Piece = tuple[NDArray[np.bool_], tuple[slice, slice]]


def interpolated(lesion_map: LesionMap) -> Values:
    """Interpolate all source pixels of the map's box: float32."""
    box, values = lesion_map.box, np.pad(lesion_map.probability, 1, mode="edge")
    for axis, pixels in ((1, box.columns), (0, box.rows)):
        count = values.shape[axis] - 2
        centre = (np.arange(pixels) + 0.5) * (count / pixels) + 0.5
        first = np.minimum(np.floor(centre).astype(int), count)
        fraction: Any = (centre - first).astype(np.float32)
        fraction = fraction if axis == 1 else fraction[:, None]
        one, other = np.take(values, first, axis), np.take(values, first + 1, axis)
        values = one + (other - one) * fraction
    return values


def warped(lesion_map: LesionMap) -> Values:
    """Sample all source pixels of the map's box by OpenCV, whose rounding is another."""
    return lesion_map.sample(lesion_map.box, (lesion_map.box.rows, lesion_map.box.columns))


def plain_regions(
    values: Values, box: Box, *, mask: float, candidate: float, minimum_pixels: float
) -> list[Region]:
    """Find the regions among the values of a box."""
    regions = []
    for piece, window, strong in _outlined(values, mask, candidate):
        large = bool(np.count_nonzero(piece) >= minimum_pixels)
        if strong or large:
            origin = (box.top + window[0].start, box.left + window[1].start)
            regions.append(_region(piece, values[window], origin, selected=strong and large))
    return regions


def _outlined(
    values: Values, mask: float, candidate: float
) -> Iterator[tuple[NDArray[np.bool_], tuple[slice, slice], bool]]:
    for piece, window in _pieces(values >= candidate):
        strong = piece & (values[window] >= mask)
        if not strong.any():
            yield piece, window, False
        for own, (rows, columns) in _pieces(strong):
            top, left = window[0].start, window[1].start
            yield own, np.s_[top + rows.start : top + rows.stop,
                             left + columns.start : left + columns.stop], True  # fmt: skip


def _pieces(mask: NDArray[np.bool_]) -> Iterator[Piece]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        window = (slice(top, top + height), slice(left, left + width))
        yield labels[window] == label, window


def _region(
    piece: NDArray[np.bool_], values: Values, origin: tuple[int, int], *, selected: bool
) -> Region:
    top, left = origin
    rows, columns = np.nonzero(piece)
    outlines, _ = cv2.findContours(
        piece.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
    )
    simple = cv2.approxPolyDP(max(outlines, key=len), CONTOUR_TOLERANCE, closed=True)
    return Region(
        box=Box(top, left, top + piece.shape[0], left + piece.shape[1]),
        pixels=piece,
        centroid=(left + float(columns.mean()), top + float(rows.mean())),
        contour=tuple((int(x), int(y)) for x, y in simple.reshape(-1, 2)),
        max_probability=float(values[piece].max()),
        mean_probability=float(values[piece].mean(dtype=np.float64)),
        selected=selected,
    )
