"""Files in memory, for parsers that want a file and follow whatever it says."""

import io

from service.errors import TooLarge

MAX_READS = 200_000
"""About 70,000 elements, nested ones counted; a mammogram has a few hundred. A second's work."""


class MemoryFile:
    """Reads bytes where they lie; `BytesIO` would copy all of a memoryview first.

    Parameters
    ----------
    data
        What is read.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data)
        self._at = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, or all that are left, and step over them."""
        start = self._at
        stop = len(self._view) if size is None or size < 0 else start + size
        data = bytes(self._view[start:stop])
        self._at = start + len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position, beyond the end too, as in a file.

        Raises
        ------
        ValueError
            The position lies before the start.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        if base + offset < 0:
            raise ValueError("before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Say where it is, in bytes from the start."""
        return self._at


class ReadLimitedFile(MemoryFile):
    """Bounds the work of pydicom's parser: every element costs it two or three reads.

    Attributes
    ----------
    reads
        How many there were.
    short
        One got less than it asked for: the data ended in the middle of an element.
    """

    reads = 0
    short = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `MemoryFile` does.

        Raises
        ------
        TooLarge
            After `MAX_READS` of them.
        """
        self.reads += 1
        if self.reads > MAX_READS:
            raise TooLarge("too-many-elements", "The file has too many data elements.")
        data = super().read(size)
        # A clean end is an element header that is not there at all.
        if size is not None and len(data) < size and (data or size != 8):
            self.short = True
        return data
