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

MAX_GREYS = 2
"""So many greys at most labels are painted in."""

MAX_LABELS = 0.1
"""Largest part of an image that labels with such edges may cover."""


def in_own_bits(samples: NDArray[Any]) -> tuple[Samples, int]:
    """Return samples as unsigned ones, and as many bits as the largest of them needs, 8 to 16.

    Two's complement is moved up, so that the lowest value of those bits is 0, and what was painted
    beyond them (see `own_bits`) is the brightest; where no sample is negative, it is taken for
    unsigned.

    Parameters
    ----------
    samples
        (u)int8 or (u)int16, shape (rows, columns).
    """
    low, high = (int(end) for end in cv2.minMaxLoc(samples)[:2])
    unsigned: Samples = samples.view(f"u{samples.dtype.itemsize}")
    if low >= 0:
        return unsigned, max(MIN_BITS, high.bit_length())
    # From the lowest on, as a half of the range would lie below what else is nearly black.
    raised: Samples = unsigned - unsigned.dtype.type(low % (1 << (8 * samples.dtype.itemsize)))
    high = low + unpainted_maximum(raised)
    bits = max(MIN_BITS, 1 + max(high.bit_length(), (-low - 1).bit_length()))
    kept: Samples = np.minimum(samples, samples.dtype.type(high)).view(unsigned.dtype)
    return kept + unsigned.dtype.type(1 << (bits - 1)), bits


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
    beside = _largest(samples, cv2.compare(samples, largest, cv2.CMP_LT)).bit_length()
    beyond = _largest_beyond_edges(samples, largest, bits)
    own = beside if beyond is None else min(beside, beyond.bit_length())
    return own if MIN_BITS <= own < bits else bits


def unpainted_maximum(samples: Samples, padding: NDArray[np.uint8] | None = None) -> int:
    """Return the largest sample that nobody painted, as `own_bits` has it; else the largest of all.

    Parameters
    ----------
    samples
        Unsigned, shape (rows, columns).
    padding
        Not 0 where what was painted is known already, and is none of the samples: same shape. Its
        edges count as a label's.
    """
    largest = int(cv2.minMaxLoc(samples)[1])
    bits = largest.bit_length()
    if not is_nearly_black(samples, bits):
        return largest
    own = _largest_beyond_edges(samples, largest, bits, padding)
    if own is None:
        own = _largest(samples, cv2.compare(samples, largest, cv2.CMP_LT))
    return own if MIN_BITS <= own.bit_length() < bits else largest


def is_nearly_black(samples: Samples, bits: int) -> bool:
    """Say whether hardly a sample needs the upper two of so many bits, as far as every 64th says.

    Of any other image, not even labels with smooth edges are looked for.
    """
    few = bits - EDGE_BITS
    return few >= MIN_BITS and bool((samples[::8, ::8] >> few != 0).mean() <= MAX_LABELS)


def _largest_beyond_edges(
    samples: Samples, largest: int, bits: int, padding: NDArray[np.uint8] | None = None
) -> int | None:
    """Return the largest sample farther than an edge from the brightest; None if it is not small.

    Where labels have several greys, one after the other counts as the brightest. What is brightest
    of tissue fades more slowly, and not all of it to one value.
    """
    if not is_nearly_black(samples, bits):
        return None
    beyond = np.full(samples.shape, 255, np.uint8)
    labels = _brightest(samples, largest) if padding is None else padding
    for _ in range(MAX_GREYS):
        beyond &= ~cv2.dilate(labels, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8))
        before, largest = largest, _largest(samples, beyond)
        if largest.bit_length() <= before.bit_length() - EDGE_BITS:
            return largest
        labels = cv2.bitwise_and(_brightest(samples, largest), beyond)
    return None


def _brightest(samples: Samples, largest: int) -> NDArray[np.uint8]:
    """Return 255 where samples are nearly the largest, else 0."""
    mask: NDArray[np.uint8] = cv2.compare(samples, largest - largest // 8, cv2.CMP_GE)
    return mask


def _largest(samples: Samples, chosen: NDArray[np.uint8]) -> int:
    """Return the largest chosen sample; 0 where none is chosen."""
    return int(cv2.minMaxLoc(samples, mask=chosen)[1])


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
