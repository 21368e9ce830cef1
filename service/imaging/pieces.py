"""What of a lesion map reaches a threshold: connected pieces, on the source's own pixels."""

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box

Contours = list[NDArray[np.int32]]
"""The outer border of a piece, then those of its holes: int32, shape (N, 1, 2), corners (x, y)."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One 8-connected piece, in pixels of the map's box.

    Attributes
    ----------
    box
        Smallest rectangle that holds it.
    outline
        int32, shape (N, 1, 2): (x, y) of the corners of its outer border.
    pixels
        bool, shape of `box`: its own.
    area
        In source pixels.
    """

    box: Box
    outline: NDArray[np.int32]
    pixels: NDArray[np.bool_]
    area: int

    def holds(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which source pixels (y, x), intp and broadcast, are its own: bool, their shape."""
        box = self.box
        own = (y >= box.top) & (y < box.bottom) & (x >= box.left) & (x < box.right)
        row = np.clip(y - box.top, 0, box.rows - 1)
        column = np.clip(x - box.left, 0, box.columns - 1)
        return own & self.pixels[row, column]

    def centroid(self) -> tuple[float, float]:
        """Return (x, y), the mean of its pixel centres, from the corner of `box` on."""
        pixels = self.pixels.view(np.uint8)
        by_column = cv2.reduce(pixels, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        by_row = cv2.reduce(pixels, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        x, y = (
            int(np.dot(sums, np.arange(sums.size, dtype=np.int64))) / self.area
            for sums in (by_column, by_row)
        )
        return x, y


def traced(drawn: NDArray[np.uint8], top: int, left: int) -> list[Contours]:
    """Return the borders of each piece of a picture whose first pixel lies at (`top`, `left`).

    `drawn` is uint8, shape (rows, columns), not 0 on the pieces; it is left as it is.
    """
    contours, hierarchy = cv2.findContours(
        drawn, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
    )
    if not contours:
        return []
    borders: dict[int, Contours] = defaultdict(list)
    parents: list[int] = hierarchy[0, :, 3].tolist()
    for index, parent in enumerate(parents):
        if parent < 0:
            borders[index].insert(0, contours[index])
        else:
            borders[parent].append(contours[index])
    return list(borders.values())


def filled(borders: Contours, minimum_pixels: float) -> Piece | None:
    """Fill a piece between its borders; None where it has fewer pixels."""
    left, top, width, height = cv2.boundingRect(borders[0])
    if width * height < minimum_pixels:
        return None
    pixels = np.zeros((height, width), np.uint8)
    cv2.drawContours(pixels, borders, -1, 1, cv2.FILLED, offset=(-left, -top))
    area = cv2.countNonZero(pixels)
    if area < minimum_pixels:
        return None
    box = Box(top, left, top + height, left + width)
    return Piece(box, borders[0], pixels.view(np.bool_), area)
