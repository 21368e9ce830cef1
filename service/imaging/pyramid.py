"""An image at a half, a quarter ... of its resolution, each made once.

To shrink by two is what OpenCV does fastest, several times as fast as by a fraction; even so, to
read a mammogram's 17 MB takes 2 to 3 milliseconds, and both the search for the breast and the
resampling begin with it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray


class Pyramid:
    """Means of blocks of 2 x 2 pixels, of those again, and so on; for one thread at a time.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns).
    """

    def __init__(self, pixels: NDArray[np.uint16]) -> None:
        self._levels = [pixels]

    def level(self, times: int) -> NDArray[np.uint16]:
        """Return the image halved so many times: uint16, shape about (rows, columns) / 2**times.

        Odd sides lose their last row or column; a side of one pixel stays.
        """
        while len(self._levels) <= times:
            self._levels.append(halved(self._levels[-1]))
        return self._levels[times]


def halved(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return means of blocks of 2 x 2 pixels, uint16, shape (rows // 2, columns // 2).

    As `Pyramid.level`: an odd last row or column is left out, a side of one pixel stays.
    """
    rows, columns = pixels.shape
    half = (max(1, rows // 2), max(1, columns // 2))
    even = pixels[: 2 * half[0], : 2 * half[1]]
    smaller: NDArray[np.uint16] = cv2.resize(even, half[::-1], interpolation=cv2.INTER_AREA)
    return smaller
