"""COCO's uncompressed run-length encoding of a mask."""

import cv2
import numpy as np
from numpy.typing import NDArray


def coco_rle(mask: NDArray[np.bool_], within: tuple[int, int] | None = None) -> list[int]:
    """Encode a mask: lengths of runs, column by column, zeros first.

    Parameters
    ----------
    mask
        bool, shape (rows, columns).
    within
        Columns (first, end) outside which the mask is known to be empty, where it is.

    Returns
    -------
    Run lengths that sum to rows * columns; the first counts zeros and may be 0 (COCO API,
    `maskApi.c`, rleEncode).
    """
    rows, columns = mask.shape
    first, end = within or (0, columns)
    occupied = np.flatnonzero(mask[:, first:end].any(axis=0)) + first
    if occupied.size == 0:
        return [rows * columns]
    left, right = int(occupied[0]), int(occupied[-1]) + 1
    # Only the columns that hold anything are laid out column-major; a full frame takes long.
    flat = np.zeros((right - left) * rows + 2, np.uint8)
    flat[1:-1] = cv2.transpose(mask[:, left:right].view(np.uint8)).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + left * rows
    bounds = np.concatenate(([0], edges, [rows * columns]))
    counts: list[int] = np.diff(bounds).tolist()
    # A mask whose last pixel is set ends on a run of ones, with no empty run of zeros behind it.
    return counts[:-1] if counts[-1] == 0 else counts
