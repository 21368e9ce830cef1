"""Where the breast is, found on a thumbnail: tiles and statistics outside it are not wanted."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.pyramid import Pyramid

THUMBNAIL_SIDE = 256
"""Longest side of the thumbnail, in pixels; about 1 mm a pixel for a full-size mammogram."""

MARGIN = 3
"""Thumbnail pixels added around the breast, so that a soft skin line is never cut."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in source pixels: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> int:
        """Height in source pixels."""
        return self.bottom - self.top

    @property
    def columns(self) -> int:
        """Width in source pixels."""
        return self.right - self.left


@dataclass(frozen=True, slots=True, eq=False)
class Breast:
    """The breast region.

    Attributes
    ----------
    thumbnail
        bool, at most 256 x 256, edges aligned with the source image: true on the breast.
    box
        Its bounding box with a margin, in source pixels.
    found
        False when nothing like a breast stood out; then the whole frame is the region.
    next_largest
        Area of the largest piece beside it that stood out as well, as a share of its own.
    """

    thumbnail: NDArray[np.bool_]
    box: Box
    found: bool
    next_largest: float = 0.0

    def on_grid(self, source_shape: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the region inside `box`, resampled to `shape` (rows, columns), as bool."""
        rows = self.thumbnail.shape[0] / source_shape[0]
        columns = self.thumbnail.shape[1] / source_shape[1]
        scale = (self.box.rows * rows / shape[0], self.box.columns * columns / shape[1])
        # Sample centre of grid pixel i, in thumbnail pixels: edges of both grids coincide.
        row_of = (self.box.top * rows + (np.arange(shape[0]) + 0.5) * scale[0]).astype(np.intp)
        column_of = (self.box.left * columns + (np.arange(shape[1]) + 0.5) * scale[1]).astype(
            np.intp
        )
        height, width = self.thumbnail.shape
        # Columns first: then whole rows are copied.
        wide: NDArray[np.bool_] = self.thumbnail[:, np.minimum(column_of, width - 1)]
        region: NDArray[np.bool_] = wide[np.minimum(row_of, height - 1)]
        return region

    def area_pixels(self, source_shape: tuple[int, int]) -> float:
        """Area of the region in source pixels, estimated from the thumbnail."""
        return float(self.thumbnail.mean()) * source_shape[0] * source_shape[1]


def find_breast(pixels: NDArray[np.uint16], pyramid: Pyramid | None = None) -> Breast:
    """Find the breast in an image where tissue is brighter than air.

    The background is the lowest peak of the thumbnail's histogram; what stands out of it by a
    little is tissue, label or film edge; the largest piece after an opening is the breast, its
    holes are filled and its bitten edges closed. The threshold is low on purpose: fatty tissue in
    a high-contrast image is nearly black, and losing it costs more than keeping some air.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns), larger is brighter.
    pyramid
        Of `pixels`, where others need them as well.
    """
    rows, columns = pixels.shape
    thumbnail = _thumbnail(pyramid or Pyramid(pixels), (rows, columns))
    region, next_largest = _largest_piece(_foreground(thumbnail))
    fraction = float(region.mean())
    if not 0.02 <= fraction <= 0.98:
        whole = np.ones(thumbnail.shape, np.bool_)
        return Breast(whole, Box(0, 0, rows, columns), found=False)
    return Breast(region, _box(region, rows, columns), found=True, next_largest=next_largest)


def _thumbnail(pyramid: Pyramid, shape: tuple[int, int]) -> NDArray[np.float32]:
    rows, columns = shape
    scale = min(1.0, THUMBNAIL_SIDE / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    # The rows and columns left over by halving are less than a third of a thumbnail pixel.
    part = pyramid.level(max(0, math.floor(math.log2(1 / (3 * scale)))))
    small: NDArray[np.uint16] = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, (0.5, 99.0))
    scaled: NDArray[np.float32] = (small.astype(np.float32) - np.float32(low)) / np.float32(
        max(high - low, 1.0)
    )
    np.clip(scaled, 0.0, 1.0, out=scaled)
    return scaled


def _foreground(thumbnail: NDArray[np.float32]) -> NDArray[np.uint8]:
    smooth: NDArray[np.float32] = cv2.GaussianBlur(thumbnail, (0, 0), 1.0)
    counts, edges = np.histogram(smooth, bins=128, range=(0.0, 1.0))
    # Air lies in the lowest third of the range, film scatter included; tissue seldom peaks there
    # so sharply.
    peak = int(np.argmax(counts[:43]))
    air = float(edges[peak + 1])
    return (smooth > air + 0.03).astype(np.uint8)


def _largest_piece(foreground: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], float]:
    """Return the largest piece, and the area of the next one as a share of its."""
    opened = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, _disc(3))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros(foreground.shape, np.bool_), 0.0
    areas = stats[1:, cv2.CC_STAT_AREA]
    piece = (labels == 1 + int(np.argmax(areas))).astype(np.uint8)
    second, first = np.sort(np.append(areas, 0))[-2:]
    reach = 8
    padded = cv2.copyMakeBorder(piece, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _disc(reach))
    grown = cv2.dilate(closed, _disc(MARGIN))[reach:-reach, reach:-reach]
    contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = np.zeros(grown.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled.astype(np.bool_), float(second / first)


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    disc: NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return disc


def _box(region: NDArray[np.bool_], rows: int, columns: int) -> Box:
    hit_rows: NDArray[np.bool_] = np.any(region, axis=1)
    hit_columns: NDArray[np.bool_] = np.any(region, axis=0)
    top, bottom = _span(hit_rows, rows)
    left, right = _span(hit_columns, columns)
    return Box(top=top, left=left, bottom=bottom, right=right)


def _span(hit: NDArray[np.bool_], length: int) -> tuple[int, int]:
    """Return the range [first, end) of what is marked, in source pixels, both even."""
    hits, scale = np.flatnonzero(hit), length / len(hit)
    first, end = int(hits[0] * scale), int(np.ceil((hits[-1] + 1) * scale))
    return first - first % 2, min(length, end + end % 2)
