"""One probability map -> regions in source pixels, and the mask that is made of them.

What it costs follows the working grid and the length of the outlines: a source pixel inside a
region is drawn and counted, never interpolated.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.enlarged import EnlargedMap
from service.imaging.pieces import Piece
from service.imaging.stitch import LesionMap
from service.imaging.thresholded import ThresholdedMap

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
    label
        Index of its class among the map's classes; None where the map tells none apart.
    """

    box: Box
    pixels: NDArray[np.bool_]
    centroid: tuple[float, float]
    contour: tuple[tuple[int, int], ...]
    max_probability: float
    mean_probability: float
    selected: bool
    label: int | None = None

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
    if not (lesion_map.probability >= np.float32(candidate_threshold)).any():
        return []
    enlarged = EnlargedMap(lesion_map, candidate_threshold)
    candidates = ThresholdedMap(enlarged, candidate_threshold)
    strong = ThresholdedMap(enlarged, mask_threshold)
    origin = (lesion_map.box.top, lesion_map.box.left)
    regions = [
        _region(piece, strong, origin, selected=piece.area >= minimum_pixels)
        for piece in strong.pieces()
    ]
    reaching = strong.starts()
    regions += [
        _region(piece, candidates, origin, selected=False)
        for piece in candidates.pieces(minimum_pixels)
        if not piece.holds(*reaching).any()
    ]
    if lesion_map.classes is not None:
        regions = [replace(region, label=_label(lesion_map, region)) for region in regions]
    return sorted(regions, key=lambda region: -region.max_probability)


def _label(lesion_map: LesionMap, region: Region) -> int:
    """Return the class that is the most probable in the mean over a region's pixels."""
    assert lesion_map.classes is not None
    box, shape = region.box, region.pixels.shape
    means = [
        float(replace(lesion_map, probability=one).sample(box, shape)[region.pixels].mean())
        for one in lesion_map.classes
    ]
    return int(np.argmax(means))


def mask_of(regions: list[Region], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw the selected regions on the source grid: bool, shape (rows, columns)."""
    mask = np.zeros(shape, np.bool_)
    for region in regions:
        if region.selected:
            box = region.box
            mask[box.top : box.bottom, box.left : box.right] |= region.pixels
    return mask


def _region(
    piece: Piece, among: ThresholdedMap, origin: tuple[int, int], *, selected: bool
) -> Region:
    (top, left), own, (x, y) = origin, piece.box, piece.centroid()
    box = Box(top + own.top, left + own.left, top + own.bottom, left + own.right)
    maximum, mean = among.maximum_and_mean(piece)
    outline = cv2.approxPolyDP(piece.outline, CONTOUR_TOLERANCE, closed=True).reshape(-1, 2)
    return Region(
        box=box,
        pixels=piece.pixels,
        centroid=(box.left + x, box.top + y),
        contour=tuple((left + x, top + y) for x, y in outline.tolist()),
        max_probability=maximum,
        mean_probability=mean,
        selected=selected,
    )
