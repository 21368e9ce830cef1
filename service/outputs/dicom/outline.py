"""Which regions a result shows, and their outlines in the coordinates of DICOM graphics."""

import cv2
import numpy as np
from numpy.typing import NDArray

from service.findings import Findings
from service.imaging.breast import Box
from service.imaging.regions import Region

MAX_POINTS = 1000
"""Of one outline. An element of 32-bit floats in Explicit VR holds 8,191 points at most (PS3.5
7.1.2); far fewer tell the shape of a lesion."""


def shown_regions(findings: Findings) -> tuple[Region, ...]:
    """Return the regions that make the mask, the most probable first: none when it is gated."""
    if findings.gated:
        return ()
    return tuple(region for region in findings.regions if region.selected)


def outline(region: Region) -> NDArray[np.float32]:
    r"""Return a region's outline as a closed polygon.

    A region too thin to have one is outlined by its box.

    Returns
    -------
    float32, shape (n, 2), n from 4 to `MAX_POINTS`: (column, row) with sub-pixel resolution,
    0\0 being the top left corner of the top left pixel (PS3.3 C.18.6.1.1, C.10.5.1.2); the last
    point is the first.
    """
    points = np.array(region.contour, np.int32)
    tolerance = 2.0
    while len(points) >= MAX_POINTS:
        points = cv2.approxPolyDP(points, tolerance, closed=True).reshape(-1, 2)
        tolerance *= 2.0
    corners = points.astype(np.float32) + np.float32(0.5)
    if len(points) < 3:
        return _rectangle(region.box)
    return np.concatenate([corners, corners[:1]])


def frame_outline(findings: Findings) -> NDArray[np.float32]:
    """Return the edges of the whole image as `outline` does: float32, shape (5, 2), pixels."""
    rows, columns = findings.mask.shape
    return _rectangle(Box(0, 0, rows, columns))


def _rectangle(box: Box) -> NDArray[np.float32]:
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    return np.array(
        [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], np.float32
    )


def centre(region: Region) -> tuple[float, float]:
    """Return a region's centroid as (column, row) in the coordinates of `outline`."""
    return region.centroid[0] + 0.5, region.centroid[1] + 0.5


def area_mm2(region: Region, spacing_mm: tuple[float, float] | None) -> float | None:
    """Return a region's area in square millimetres, or None when the image states no spacing."""
    if spacing_mm is None:
        return None
    return round(region.area_pixels * spacing_mm[0] * spacing_mm[1], 2)


def percent(probability: float) -> float:
    """Return a probability in percent, to two decimals."""
    return round(100.0 * probability, 2)
