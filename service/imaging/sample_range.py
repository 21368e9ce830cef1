"""How many bits of a picture's samples count, and how these fill the range of display values.

Programs write 10 and 12 bits into 16 as they are: the upper bits stay empty, and nothing in a PNG
or TIFF says so. Taken for 16 bits, such a picture is black to whoever looks at it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8] | NDArray[np.uint16]

MIN_BITS = 8


def in_own_bits(samples: NDArray[Any]) -> tuple[Samples, int]:
    """Return samples as unsigned ones, and as many bits as the largest of them needs, 8 to 16.

    Two's complement is moved up, so that the lowest value of those bits is 0; where no sample is
    negative, it is taken for unsigned.

    Parameters
    ----------
    samples
        (u)int8 or (u)int16, shape (rows, columns).
    """
    low, high = (int(end) for end in cv2.minMaxLoc(samples)[:2])
    unsigned: Samples = samples.view(f"u{samples.dtype.itemsize}")
    if low >= 0:
        return unsigned, max(MIN_BITS, high.bit_length())
    bits = max(MIN_BITS, 1 + max(high.bit_length(), (-low - 1).bit_length()))
    return unsigned + unsigned.dtype.type(1 << (bits - 1)), bits


def without_painted(samples: Samples, bits: int) -> tuple[Samples, int]:
    """Return samples and bits as they are without a single value that alone needs the upper ones.

    A label that was painted into ten bits as 65535 is no sample of them, nor is a dead pixel. It
    becomes the brightest value of the others' bits.

    Parameters
    ----------
    samples
        Unsigned, shape (rows, columns).
    bits
        As many as the largest needs.
    """
    largest = int(cv2.minMaxLoc(samples)[1])
    others = cv2.compare(samples, largest, cv2.CMP_LT)
    own = int(cv2.minMaxLoc(samples, mask=others)[1]).bit_length()
    if not MIN_BITS <= own < bits:
        return samples, bits
    bounded: Samples = np.minimum(samples, samples.dtype.type((1 << own) - 1))
    return bounded, own


def full_range(samples: Samples, bits: int) -> NDArray[np.uint16]:
    """Spread samples over the range of display values: 0 stays 0, the largest becomes 65535.

    Parameters
    ----------
    samples
        Unsigned, any shape; none needs more than `bits`.
    bits
        8 to 16.
    """
    wide = samples.astype(np.uint16, copy=False)
    if bits == 16:
        return wide
    # The upper bits once more below: in steps that differ by one at most, as multiplying would.
    spread = wide << np.uint16(16 - bits)
    spread |= wide >> np.uint16(2 * bits - 16)
    return spread
