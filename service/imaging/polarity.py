"""Whether an image that has no photometric interpretation shows air white."""

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIDE = 160
BAND = 0.15
"""Part of the grey range at each end that may be air; films scatter."""

FLAT = 3 * 257
"""Largest range of a 5 x 5 neighbourhood of the thumbnail that counts as flat."""

NEARLY_EMPTY = 8 * 257
"""An image with a smaller range shows nothing; its level alone says what it is."""


def background_is_bright(pixels: NDArray[np.uint16]) -> bool:
    """Say whether the background is bright: the image is inverted.

    Air is flat and makes up most of the frame's edge. Both are counted near each end of the grey
    range; neither alone holds on films with white edges, noise and frame-filling breasts.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns).
    """
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = np.percentile(small, (0.5, 99.5))
    if high - low < NEARLY_EMPTY:
        return bool(np.median(small) > 32767)
    bright = small > high - BAND * (high - low)
    dark = small < low + BAND * (high - low)
    window = np.ones((5, 5), np.uint8)
    flat = cv2.dilate(small, window) - cv2.erode(small, window) <= FLAT
    edge = np.ones(size, np.bool_)
    # The outermost pixels are left out: scanners leave a line there.
    edge[2:-2, 2:-2] = edge[0] = edge[-1] = edge[:, 0] = edge[:, -1] = False
    in_favour = (flat & bright).mean() + bright[edge].mean()
    against = (flat & dark).mean() + dark[edge].mean()
    return bool(in_favour > against)
