"""Where a body is received: memory that is used again and again."""

from service.buffer_pool import Buffer, BufferPool
from service.errors import InvalidRequest, Overloaded

HEAD_BYTES = 64 * 1024
"""First bytes of a body, which are kept outside the pool: a sender that stops there takes no buffer
from the others."""


class BodyBuffer:
    """Takes a body piece by piece; for the event loop's thread alone.

    Parameters
    ----------
    buffers
        Where the memory comes from.
    size
        Bytes that will come; None where that is not known.
    most
        Bytes that may come at most.
    """

    def __init__(self, buffers: BufferPool, size: int | None, most: int) -> None:
        self._buffers = buffers
        self._size = most if size is None else size
        self._buffer: Buffer | None = None
        self._head = bytearray()
        self.length = 0
        """Bytes that came."""

    def write(self, piece: bytes | memoryview) -> None:
        """Take a further piece.

        Raises
        ------
        InvalidRequest
            More bytes come than were announced.
        """
        start, end = self.length, self.length + len(piece)
        if self._buffer is None and end <= HEAD_BYTES:
            self._head += piece
            self.length = end
            return
        buffer = self._taken()
        if end > buffer.size:
            raise InvalidRequest("body-length", "The body is longer than Content-Length says.")
        buffer.memory[start:end] = piece
        self.length = end

    def contents(self) -> memoryview:
        """Return what came; its memory is lent again once nobody refers to any part of it."""
        return self._buffers.lend_bytes(self._taken(), self.length)

    def _taken(self) -> Buffer:
        # Taken only once more than the head has come: a request that still waits for its turn must
        # not hold a buffer that another one could fill.
        if self._buffer is None:
            try:
                self._buffer = self._buffers.take(max(self._size, len(self._head)))
            except OSError:
                raise Overloaded("busy", "There is no memory for the image now.") from None
            self._buffer.memory[: len(self._head)] = self._head
            self._head.clear()
        return self._buffer
