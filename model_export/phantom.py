"""A breast that nobody has: for the golden tile and for tests, free of any patient's data."""

import cv2
import numpy as np
from numpy.typing import NDArray

MASSES = ((0.36, 0.22, 26), (0.62, 0.30, 40), (0.48, 0.12, 14))
"""(row, column, radius): shares of the tile's side, and pixels where the side has 640."""


def breast_phantom(side: int, seed: int = 7) -> NDArray[np.uint8]:
    """Draw a half-ellipse of cloudy tissue with three masses, one of them spiculated.

    Parameters
    ----------
    side
        Of the square picture, in pixels.
    seed
        Of the texture.

    Returns
    -------
    uint8, shape (side, side); 0 outside the breast.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] / side
    depth = 1.0 - ((rows - 0.5) / 0.46) ** 2 - (columns / 0.52) ** 2
    tissue = 0.25 + 0.25 * np.clip(depth, 0, 1) + 0.30 * _clouds(side, rng) * np.clip(depth, 0, 1)
    for row, column, radius in MASSES:
        distance = np.hypot(rows - row, columns - column) * 640
        tissue += 0.45 / (1.0 + np.exp((distance - radius) / 3.0))
    tissue += 0.2 * _spicules(side, rng)
    tissue[depth <= 0] = 0.0
    grey: NDArray[np.uint8] = np.clip(tissue * 255 * 0.85, 0, 255).astype(np.uint8)
    return grey


def _clouds(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sum noise of several coarsenesses into values around 0."""
    total = np.zeros((side, side))
    for cells in (5, 11, 23, 47, 95):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        total += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) / np.sqrt(cells)
    return total


def _spicules(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw rays out of the second mass."""
    canvas = np.zeros((side, side), np.float32)
    row, column, radius = MASSES[1]
    start = (round(column * side), round(row * side))
    for angle in rng.uniform(0, 2 * np.pi, 14):
        length = rng.uniform(1.3, 2.2) * radius / 640 * side
        end = (
            round(start[0] + length * float(np.cos(angle))),
            round(start[1] + length * float(np.sin(angle))),
        )
        cv2.line(canvas, start, end, 1.0, 2)
    soft: NDArray[np.float32] = cv2.GaussianBlur(canvas, (0, 0), 1.5)
    return soft
