"""A reader whose work is bounded, for parsers that follow whatever a file says."""

from io import BytesIO

from service.errors import TooLarge

MOST_READS = 200_000
"""About 70,000 elements, nested ones counted; a mammogram has a few hundred. A second's work."""


class BoundedReader(BytesIO):
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
        """Read as `BytesIO` does.

        Raises
        ------
        TooLarge
            After `MOST_READS` of them.
        """
        self.reads += 1
        if self.reads > MOST_READS:
            raise TooLarge("too-many-elements", "The file has too many data elements.")
        data = super().read(size)
        # A clean end is an element header that is not there at all.
        if size is not None and len(data) < size and (data or size != 8):
            self.short = True
        return data
