"""Where things stand on a screenshot, in the pixels of a mammogram as it was taken."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Placement:
    """How an image stands on the screen, upright, in screen pixels.

    Attributes
    ----------
    scale
        Screen pixels to one of the image.
    left, top, right
        Its edges.
    """

    scale: float
    left: float
    top: float
    right: float

    def matrix(self) -> NDArray[np.float64]:
        """Return what maps image pixels' centres to screen pixels' centres: shape (2, 3)."""
        middle = 0.5 * self.scale - 0.5
        return np.array([[self.scale, 0, self.left + middle], [0, self.scale, self.top + middle]])

    def warp(self, image: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
        """Draw an image, uint8, where it stands on a screen of a shape (rows, columns)."""
        # Averaged first: the screen's pixels are larger.
        factor = max(1, int(0.5 / self.scale))
        small = cv2.blur(image, (factor, factor)) if factor > 1 else image
        size = (shape[1], shape[0])
        return cv2.warpAffine(small, self.matrix(), size, flags=cv2.INTER_LINEAR)

    def moved(self, across: float, down: float) -> "Placement":
        """Return it moved to the right and down."""
        return Placement(self.scale, self.left + across, self.top + down, self.right + across)

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map screen coordinates (x, y), shape (n, 2), to the image's; 0, 0 is a corner of both."""
        return (points - [self.left, self.top]) / self.scale


def hung(shape: tuple[int, int], box: dict[str, float], side: str) -> Placement:
    """Return how an image is to hang: as large as it fits, its chest wall towards the middle.

    Parameters
    ----------
    shape
        (rows, columns) as taken: the chest wall at the left of a left breast.
    box
        x, y, width and height of its part of the screen.
    side
        "L" or "R".
    """
    rows, columns = shape
    scale = min(box["width"] / columns, box["height"] / rows)
    left = box["x"] if side == "L" else box["x"] + box["width"] - scale * columns
    top = box["y"] + (box["height"] - scale * rows) / 2
    return Placement(scale, left, top, left + scale * columns)


def iou(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the intersection over the union of two masks."""
    a, b = first.astype(bool), second.astype(bool)
    return float((a & b).sum() / max(1, (a | b).sum()))


def filled(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Fill a polygon of image coordinates (x, y), 0, 0 being the corner of the first pixel."""
    drawn = np.zeros(shape, np.uint8)
    fixed = np.rint((points - 0.5) * 256).astype(np.int32)
    return cv2.fillPoly(drawn, [fixed], 1, shift=8)


def correlation(first: Picture, second: Picture) -> float:
    """Return the correlation of two pictures of one shape, from -1 to 1."""
    return float(np.corrcoef(first.ravel().astype(float), second.ravel().astype(float))[0, 1])


def shift(first: Picture, second: Picture) -> tuple[float, float]:
    """Return by how many pixels, across and down, the second stands off the first."""
    (across, down), _ = cv2.phaseCorrelate(first.astype(np.float64), second.astype(np.float64))
    return across, down


def tell(figure: str) -> None:
    """Print what was measured, for `pytest -s`."""
    print(figure)  # noqa: T201
