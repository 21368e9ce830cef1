"""Modality and VOI look-up tables as DICOM stores them (PS3.3 C.11.1.1.1, C.11.2.1.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from service.imaging import elements


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A look-up table.

    Attributes
    ----------
    first
        The input value that maps to the first entry; smaller ones do too, and all past the last
        entry map to the last.
    entries
        float64, shape (n,).
    maximum
        The largest value the entries may take.
    misstated
        The descriptor states other bits than the entries take: `maximum` is the largest of them.
    """

    first: int
    entries: NDArray[np.float64]
    maximum: float
    misstated: bool = False

    def look_up(self, values: NDArray[np.int32] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values of any shape, rounded to integers, through the table: float64, same shape."""
        bounded = np.clip(values, self.first, self.first + len(self.entries) - 1)
        mapped: NDArray[np.float64] = self.entries[(np.rint(bounded) - self.first).astype(np.intp)]
        return mapped


def lookup_table(item: Dataset, *, signed: bool) -> Table | None:
    """Read a table from an item of Modality or VOI LUT Sequence; None when it is broken.

    Broken is a descriptor of other than three values, entries of no or over 16 bits, data shorter
    or longer than the descriptor counts (which of the two is right cannot be told), or a table
    that is black throughout.

    Parameters
    ----------
    item
        Holds LUT Descriptor (entries, first value mapped, bits) and LUT Data.
    signed
        The input may be negative: the first value mapped is then a signed one.
    """
    descriptor = elements.raw_integers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    count, first, bits = descriptor
    # 0 stands for 65,536; an entry count read as SS may have come out negative.
    count = count % 65536 or 65536
    if signed and first > 32767:
        first -= 65536
    data = elements.raw_integers(item, "LUTData")
    if len(data) == (count + 1) // 2 < count and bits <= 8:
        # Two 8-bit entries to a 16-bit word, the first in the low byte.
        data = tuple(byte for word in data for byte in (word & 0xFF, (word >> 8) & 0xFF))
        data = data[:count]
    if len(data) != count or not 1 <= bits <= 16:
        return None
    entries = np.asarray(data, np.float64) % 65536
    largest = int(entries.max())
    if largest <= 0:
        return None
    maximum = (1 << bits) - 1
    # Many writers state the 16 bits that an entry is stored in, others fewer than entries take. Of
    # a table that is right, no bit is spare.
    if maximum // 2 < largest <= maximum:
        return Table(first, entries, float(maximum))
    return Table(first, entries, float(largest), misstated=True)
