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

EDGE = 4
"""Width of the smooth edge of a label, pixels."""

EDGE_BITS = 2
"""So many bits at least are needed by labels with such edges alone: the rest is nearly black."""

MAX_LABELS = 0.1
"""Largest part of an image that labels with such edges may cover."""


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
    """Return samples and bits as they are without what was painted and alone needs the upper ones.

    What was painted becomes the brightest value of the others' bits; see `own_bits`.

    Parameters
    ----------
    samples
        Unsigned, shape (rows, columns).
    bits
        As many as the largest needs.
    """
    own = own_bits(samples, bits)
    if own == bits:
        return samples, bits
    bounded: Samples = np.minimum(samples, samples.dtype.type((1 << own) - 1))
    return bounded, own


def own_bits(samples: Samples, bits: int) -> int:
    """Return how many bits samples need, from 8 on, that nobody painted; `bits` where all do.

    A label that was painted into ten bits as 65535 is no sample of them, nor is a dead pixel, nor
    are the pixels of a label's edge, where that was drawn smoothly. Parameters as above.
    """
    largest = int(cv2.minMaxLoc(samples)[1])
    beside = _bits(samples, cv2.compare(samples, largest, cv2.CMP_LT))
    own = min(beside, _bits_beyond_edges(samples, largest, bits))
    return own if MIN_BITS <= own < bits else bits


def is_nearly_black(samples: Samples, bits: int) -> bool:
    """Say whether hardly a sample needs the upper two of so many bits, as far as every 64th says.

    Of any other image, not even labels with smooth edges are looked for.
    """
    few = bits - EDGE_BITS
    return few >= MIN_BITS and bool((samples[::8, ::8] >> few != 0).mean() <= MAX_LABELS)


def _bits_beyond_edges(samples: Samples, largest: int, bits: int) -> int:
    """Return how many bits are needed farther than an edge from the brightest; `bits` if not few.

    What is brightest of tissue fades more slowly, and not all of it to one value.
    """
    if not is_nearly_black(samples, bits):
        return bits
    labels = cv2.compare(samples, largest - largest // 8, cv2.CMP_GE)
    around = cv2.dilate(labels, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8))
    own = _bits(samples, cv2.bitwise_not(around))
    return own if own <= bits - EDGE_BITS else bits


def _bits(samples: Samples, chosen: NDArray[np.uint8]) -> int:
    """Return how many bits the largest chosen sample needs; 0 where none is chosen."""
    return int(cv2.minMaxLoc(samples, mask=chosen)[1]).bit_length()


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
