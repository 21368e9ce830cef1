"""The mask of an answer -> an array: COCO's uncompressed run-length encoding."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mask_of(part: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode a mask: bool, shape (rows, columns), of COCO's uncompressed RLE.

    Raises
    ------
    ValueError
        It is coded otherwise, or its runs are not as long as its size says.
    """
    rows, columns = map(int, part["size"])
    counts = np.asarray(part["counts"], np.int64)
    if part["encoding"] != "coco_rle" or counts.ndim != 1 or (counts < 0).any():
        raise ValueError("the mask is not coded as COCO's RLE")
    if rows < 1 or columns < 1 or int(counts.sum()) != rows * columns:
        raise ValueError("the mask's runs do not fill its size")
    # Column after column, zeros first.
    values = np.arange(counts.size) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, counts).reshape(columns, rows).T)
