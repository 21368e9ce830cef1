"""One probability map -> regions in source pixels, and the mask that is made of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.stitch import LesionMap

Window = tuple[slice, slice]

CONTOUR_TOLERANCE = 1.0
"""How far a simplified contour may leave the true outline, in source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One connected piece of suspected lesion, in source pixels: x = column, y = row.

    Attributes
    ----------
    box
        Smallest rectangle that holds it.
    pixels
        bool, shape of `box`: the region's own pixels.
    centroid
        (x, y), mean of its pixel centres.
    contour
        Outer outline, [(x, y), ...], closed, within a pixel of the true one.
    max_probability, mean_probability
        Over its pixels.
    selected
        True when it is part of the mask: above the mask threshold and large enough.
    """

    box: Box
    pixels: NDArray[np.bool_]
    centroid: tuple[float, float]
    contour: tuple[tuple[int, int], ...]
    max_probability: float
    mean_probability: float
    selected: bool

    @property
    def area_pixels(self) -> int:
        """Area in source pixels."""
        return int(np.count_nonzero(self.pixels))


def find_regions(
    lesion_map: LesionMap,
    *,
    mask_threshold: float,
    candidate_threshold: float,
    minimum_pixels: float,
) -> list[Region]:
    """Find every piece above the candidate threshold, the most probable first.

    A piece that reaches the mask threshold is drawn at that threshold (it may fall into
    several), the others at the candidate threshold. Pieces under `minimum_pixels` that do not
    reach the mask threshold are noise and are left out; those that do are listed unselected.

    Parameters
    ----------
    lesion_map
        The breast's probabilities.
    mask_threshold, candidate_threshold
        In [0, 1]; the second is the lower.
    minimum_pixels
        Smallest area of a selected region, in source pixels.
    """
    area = _area_of_candidates(lesion_map, candidate_threshold)
    if area is None:
        return []
    probability = lesion_map.sample(area, (area.rows, area.columns))
    regions = []
    for piece, window, strong in _outlined(probability, mask_threshold, candidate_threshold):
        large = bool(np.count_nonzero(piece) >= minimum_pixels)
        if strong or large:
            origin = (area.top + window[0].start, area.left + window[1].start)
            selected = strong and large
            regions.append(_region(piece, probability[window], origin, selected=selected))
    return sorted(regions, key=lambda region: -region.max_probability)


def mask_of(regions: list[Region], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw the selected regions on the source grid: bool, shape (rows, columns)."""
    mask = np.zeros(shape, np.bool_)
    for region in regions:
        if region.selected:
            box = region.box
            mask[box.top : box.bottom, box.left : box.right] |= region.pixels
    return mask


def _area_of_candidates(lesion_map: LesionMap, candidate_threshold: float) -> Box | None:
    """Give the part of the source that can hold a candidate; the full frame takes long."""
    # Bilinear enlargement never exceeds its neighbours, so the coarse map can rule pixels out.
    rows, columns = np.nonzero(lesion_map.probability >= candidate_threshold)
    if rows.size == 0:
        return None
    box, shape = lesion_map.box, lesion_map.probability.shape
    row_scale, column_scale = box.rows / shape[0], box.columns / shape[1]
    return Box(
        top=box.top + max(0, int((rows.min() - 1) * row_scale)),
        left=box.left + max(0, int((columns.min() - 1) * column_scale)),
        bottom=box.top + min(box.rows, int(np.ceil((rows.max() + 2) * row_scale))),
        right=box.left + min(box.columns, int(np.ceil((columns.max() + 2) * column_scale))),
    )


def _outlined(
    probability: NDArray[np.float32], mask_threshold: float, candidate_threshold: float
) -> Iterator[tuple[NDArray[np.bool_], Window, bool]]:
    """Give each piece, where it lies, and whether it reaches the mask threshold."""
    for piece, window in _pieces(probability >= candidate_threshold):
        strong = piece & (probability[window] >= mask_threshold)
        if not strong.any():
            yield piece, window, False
        for own, (rows, columns) in _pieces(strong):
            top, left = window[0].start, window[1].start
            inner = (
                slice(top + rows.start, top + rows.stop),
                slice(left + columns.start, left + columns.stop),
            )
            yield own, inner, True


def _pieces(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], Window]]:
    """Give each 8-connected piece of a mask, cut out, and where it lies."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        window = (slice(top, top + height), slice(left, left + width))
        yield labels[window] == label, window


def _region(
    piece: NDArray[np.bool_],
    probability: NDArray[np.float32],
    origin: tuple[int, int],
    *,
    selected: bool,
) -> Region:
    top, left = origin
    rows, columns = np.nonzero(piece)
    values = probability[piece]
    return Region(
        box=Box(top, left, top + piece.shape[0], left + piece.shape[1]),
        pixels=piece,
        centroid=(left + float(columns.mean()), top + float(rows.mean())),
        contour=_contour(piece, origin),
        max_probability=float(values.max()),
        mean_probability=float(values.mean()),
        selected=selected,
    )


def _contour(piece: NDArray[np.bool_], origin: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    outlines, _ = cv2.findContours(
        piece.view(np.uint8),
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_SIMPLE,
        offset=(origin[1], origin[0]),
    )
    longest = max(outlines, key=len)
    simple = cv2.approxPolyDP(longest, CONTOUR_TOLERANCE, closed=True)
    return tuple((int(x), int(y)) for x, y in simple.reshape(-1, 2))
