"""Whether an image without a photometric interpretation shows air white."""

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIDE = 160


def background_is_bright(pixels: NDArray[np.uint16]) -> bool:
    """Say whether the background is bright: the image is inverted.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns).
    """
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 257
    window = np.ones((5, 5), np.uint8)
    flat = cv2.dilate(small, window) - cv2.erode(small, window) <= 3
    low, high = np.percentile(small, (0.5, 99.5))
    band = 0.15 * (high - low)
    return bool((flat & (small > high - band)).mean() > (flat & (small < low + band)).mean())
