"""What an image looks like, block by block: the vector that near-duplicates share."""

import cv2
import numpy as np
from numpy.typing import NDArray

BLOCKS = 20
"""Along each side of the image."""

BLOCK_PIXELS = 8
"""Along each side of a block, after the image was shrunk to BLOCKS * BLOCK_PIXELS a side: coarse
enough that compression and another size do not matter."""

BINS = 8
"""Of each block's histogram."""

LENGTH = BLOCKS * BLOCKS * BINS

SCALED_BETWEEN = (1.0, 99.0)
"""Percentiles of the shrunk image that become 0 and 1; not its extremes, which compression and a
single marker move."""


def shrink(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Shrink an image, uint16, to the square that its blocks are taken from."""
    side = BLOCKS * BLOCK_PIXELS
    small: NDArray[np.uint16] = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return small


def block_histograms(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Describe an image by a histogram for each of 20 x 20 blocks.

    Intensities are scaled to [0, 1]. A pixel counts in the two bins next to its value, in shares
    that follow the distance, so that a small change never moves it from one bin to another.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns); the aspect ratio is lost.

    Returns
    -------
    float32, shape (LENGTH,), of length 1: the cosine distance of two images is one minus the
    product of their vectors.
    """
    small = shrink(pixels).astype(np.float32)
    low, high = np.percentile(small, SCALED_BETWEEN)
    scaled = np.clip((small - low) / max(float(high - low), 1.0), 0.0, 1.0) * (BINS - 1)
    lower = np.minimum(scaled.astype(np.intp), BINS - 2)
    share = scaled - lower
    block = np.arange(small.shape[0]) // BLOCK_PIXELS
    first = (block[:, None] * BLOCKS + block[None, :]) * BINS + lower
    counts = np.bincount(first.ravel(), (1.0 - share).ravel(), LENGTH)
    counts += np.bincount(first.ravel() + 1, share.ravel(), LENGTH)
    unit: NDArray[np.float32] = (counts / np.linalg.norm(counts)).astype(np.float32)
    return unit
