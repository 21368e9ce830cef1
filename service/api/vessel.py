"""Where a body is received: memory that a reader maps, so that nobody copies it again."""

from service.errors import InvalidRequest
from service.slabs import Slabs


class Vessel:
    """Takes a body piece by piece; for the event loop's thread alone.

    Parameters
    ----------
    slabs
        Where the memory comes from.
    size
        Bytes that will come; None where that is not known.
    most
        Bytes that may come at most.
    """

    def __init__(self, slabs: Slabs, size: int | None, most: int) -> None:
        # Of memory for the most that may come, only what does come is ever there.
        self._slabs, self._slab = slabs, slabs.take(most if size is None else size)
        self.length = 0
        """Bytes that came."""

    def pour(self, piece: bytes) -> None:
        """Take a further piece.

        Raises
        ------
        InvalidRequest
            More comes than there was to come.
        """
        end = self.length + len(piece)
        if end > self._slab.size:
            raise InvalidRequest("body-length", "The body is longer than Content-Length says.")
        self._slab.memory[self.length : end] = piece
        self.length = end

    def contents(self) -> memoryview:
        """Give what came; its memory is lent again once nobody refers to it, or to a part of it."""
        return self._slabs.lend_bytes(self._slab, self.length)
