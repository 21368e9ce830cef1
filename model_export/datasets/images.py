"""Reading 8-bit grey files into the service's 16-bit range."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read an image file as 8-bit grey, shape (rows, columns).

    Raises
    ------
    FileNotFoundError
        The file is absent or no image.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise FileNotFoundError(f"not a readable image: {path}")
    grey: NDArray[np.uint8] = pixels.astype(np.uint8, copy=False)
    return grey


def widen(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Spread 8 bits over 16 so that 255 becomes 65535, as the service does for uploads."""
    return pixels.astype(np.uint16) * np.uint16(257)
