"""Where a body is received: memory that a reader maps, so that nobody copies it again."""

from service.errors import InvalidRequest, Overloaded
from service.slabs import Slab, Slabs

HEAD_BYTES = 64 * 1024
"""Of a body that are kept apart: who sends no more takes no file from the others."""


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
        self._head = bytearray()
        self.length = 0
        """Bytes that came."""

    def pour(self, piece: bytes | memoryview) -> None:
        """Take a further piece.

        Raises
        ------
        InvalidRequest
            More comes than there was to come.
        """
        start, end = self.length, self.length + len(piece)
        if self._slab is None and end <= HEAD_BYTES:
            self._head += piece
            self.length = end
            return
        slab = self._taken()
        if end > slab.size:
            raise InvalidRequest("body-length", "The body is longer than Content-Length says.")
        slab.memory[start:end] = piece
        self.length = end

    def contents(self) -> memoryview:
        """Give what came; its memory is lent again once nobody refers to it, or to a part of it."""
        return self._slabs.lend_bytes(self._taken(), self.length)

    def _taken(self) -> Slab:
        # Not before something comes: who waits for room would keep it from those that have some.
        if self._slab is None:
            try:
                self._slab = self._slabs.take(max(self._size, len(self._head)))
            except OSError:
                raise Overloaded("busy", "There is no memory for the image now.") from None
            self._slab.memory[: len(self._head)] = self._head
            self._head.clear()
        return self._slab
