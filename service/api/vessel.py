"""Where a body is received: memory that a reader maps, so that nobody copies it again."""

from service.errors import InvalidRequest
from service.slabs import Slab, Slabs


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
        self._slabs = slabs
        # Of memory for the most that may come, only what does come is ever there.
        self._size = most if size is None else size
        self._slab: Slab | None = None
        self.length = 0
        """Bytes that came."""

    def pour(self, piece: bytes | memoryview) -> None:
        """Take a further piece.

        Raises
        ------
        InvalidRequest
            More comes than there was to come.
        """
        slab, end = self._taken(), self.length + len(piece)
        if end > slab.size:
            raise InvalidRequest("body-length", "The body is longer than Content-Length says.")
        slab.memory[self.length : end] = piece
        self.length = end

    def contents(self) -> memoryview:
        """Give what came; its memory is lent again once nobody refers to it, or to a part of it."""
        return self._slabs.lend_bytes(self._taken(), self.length)

    def _taken(self) -> Slab:
        # Not before something comes: who waits for room would keep it from those that have some.
        if self._slab is None:
            self._slab = self._slabs.take(self._size)
        return self._slab
