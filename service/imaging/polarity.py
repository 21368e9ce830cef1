"""Whether an image that has no photometric interpretation shows air white."""

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIDE = 160
ROWS_LOOKED_AT = 4
"""Of each row of the thumbnail."""

BAND = 0.15
"""Part of the grey range at each end that may be air; films scatter."""

FLAT = 3 * 257
"""Largest range of a 5 x 5 neighbourhood of the thumbnail that counts as flat."""

RINGS = (1, 4, 8)
"""Thumbnail pixels from the frame to where its edge is looked at: scanners leave lines there."""

EDGE_WEIGHT = 0.5

NEARLY_EMPTY = 8 * 257
"""An image with a smaller range shows nothing; its level alone says what it is."""


def background_is_bright(pixels: NDArray[np.uint16]) -> bool:
    """Say whether the background is bright: the image is inverted.

    Air is flat and lies along most of the frame's edge. Both are counted near each end of the
    grey range; neither alone holds on films with white edges, noise and frame-filling breasts.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns).
    """
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    # A few rows of each thumbnail row are enough, and cost a fraction of all.
    thinned = pixels[:: max(1, pixels.shape[0] // (ROWS_LOOKED_AT * THUMBNAIL_SIDE))]
    small = cv2.resize(_narrowed(thinned), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = np.percentile(small, (0.5, 99.5))
    if high - low < NEARLY_EMPTY:
        return bool(np.median(small) > 32767)
    bright = small > high - BAND * (high - low)
    dark = small < low + BAND * (high - low)
    window = np.ones((5, 5), np.uint8)
    flat = cv2.dilate(small, window) - cv2.erode(small, window) <= FLAT
    in_favour = (flat & bright).mean() + EDGE_WEIGHT * _along_the_edge(bright)
    against = (flat & dark).mean() + EDGE_WEIGHT * _along_the_edge(dark)
    return bool(in_favour > against)


def _narrowed(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Average whole numbers of columns, which takes a sixth of the time that parts of them do."""
    across = max(1, pixels.shape[1] // THUMBNAIL_SIDE)
    columns = pixels.shape[1] // across
    size = (columns, pixels.shape[0])
    narrow = cv2.resize(pixels[:, : columns * across], size, interpolation=cv2.INTER_AREA)
    return np.asarray(narrow, np.uint16)


def _along_the_edge(marked: NDArray[np.bool_]) -> float:
    """Part of the pixels on rings inside the frame that are marked."""
    parts = [
        np.concatenate((inner[0], inner[-1], inner[:, 0], inner[:, -1])).mean()
        for inner in (marked[r:-r, r:-r] for r in RINGS)
    ]
    return float(np.mean(parts))
