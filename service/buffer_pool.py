"""Memory for bodies and pixels that is lent, taken back and lent again.

Fresh memory costs four times as much as what is written into it: the system clears it and maps it
page by page, 4,150 of them for a mammogram. All of it are anonymous files, so that what one process
writes another maps, and nobody copies.
"""

import ctypes
import mmap
import os
import tempfile
import threading
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP = 2**20
"""Sizes are multiples of this, in bytes, so that nearly equal images fit one buffer."""


class SharedBuffer:
    """An anonymous file, mapped at `address`; `file` is its descriptor, for another process.

    It takes memory where it was written to, and nowhere else.
    """

    def __init__(self, size: int) -> None:
        self.size = max(1, -(-size // STEP)) * STEP
        self.file = open_anonymous_file()
        weakref.finalize(self, os.close, self.file)
        os.ftruncate(self.file, self.size)
        self.memory = mmap.mmap(self.file, self.size)
        self.address = ctypes.addressof(ctypes.c_uint8.from_buffer(self.memory))


class BufferPool:
    """Buffers that nobody uses; for several threads at once.

    Parameters
    ----------
    most_bytes
        Buffers are kept for the next ones as long as all, used or not, are no more than this.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._idle: list[SharedBuffer] = []
        # A finaliser may run at any step of the thread that holds it.
        self._lock = threading.RLock()

    @property
    def idle_bytes(self) -> int:
        """What is kept for the next ones."""
        with self._lock:
            return sum(buffer.size for buffer in self._idle)

    def take(self, size: int) -> SharedBuffer:
        """Return a buffer of at least so many bytes; whoever drops it unlent, ends it.

        Raises
        ------
        OSError
            There is no memory.
        """
        with self._lock:
            self._idle.sort(key=lambda buffer: buffer.size)
            for index, buffer in enumerate(self._idle):
                if buffer.size >= size:
                    return self._idle.pop(index)
            while self._idle and self._bytes + size > self._most_bytes:
                # None of them fits anyway.
                del self._idle[0]
            buffer = SharedBuffer(size)
            self._bytes += buffer.size
            weakref.finalize(buffer, self._ended, buffer.size).atexit = False
            return buffer

    def lend(self, buffer: SharedBuffer, shape: tuple[int, int]) -> NDArray[np.uint16]:
        """Return what lies in a buffer as pixels, and take it back once nobody refers to them.

        Returns
        -------
        uint16, `shape` (rows, columns), not to be written to.
        """
        loan = self._loan(buffer, ctypes.c_uint16 * (shape[0] * shape[1]))
        pixels: NDArray[np.uint16] = np.frombuffer(memoryview(loan), np.uint16).reshape(shape)
        pixels.flags.writeable = False
        return pixels

    def lend_bytes(self, buffer: SharedBuffer, length: int) -> memoryview:
        """Return the first bytes of a buffer, not to be written to; otherwise as `lend`."""
        return memoryview(self._loan(buffer, ctypes.c_uint8 * length)).cast("B").toreadonly()

    def extent(self, data: bytes | memoryview) -> "Extent":
        """Tell where bytes lie that were lent, all or a part of them; others are copied first.

        Raises
        ------
        OSError
            There is no memory for the copy.
        """
        buffer = getattr(data.obj, "buffer", None) if isinstance(data, memoryview) else None
        if not isinstance(buffer, SharedBuffer):
            buffer, given = self.take(len(data)), data
            buffer.memory[: len(given)] = given
            data = self.lend_bytes(buffer, len(given))
        first = np.frombuffer(data, np.uint8).ctypes.data if len(data) else buffer.address
        return Extent(buffer.file, first - buffer.address, memoryview(data))

    def _loan(self, buffer: SharedBuffer, kind: "type[ctypes.Array[Any]]") -> "ctypes.Array[Any]":
        loan = kind.from_buffer(buffer.memory)
        loan.buffer = buffer  # type: ignore[attr-defined]
        weakref.finalize(loan, self._take_back, buffer).atexit = False
        return loan

    def _take_back(self, buffer: SharedBuffer) -> None:
        with self._lock:
            if self._bytes <= self._most_bytes:
                self._idle.append(buffer)

    def _ended(self, size: int) -> None:
        with self._lock:
            self._bytes -= size


class Extent(NamedTuple):
    """Lent bytes: the file in which they lie, from which byte on, and themselves, so they stay."""

    file: int
    start: int
    data: memoryview


def open_anonymous_file() -> int:
    """Return the descriptor of memory that vanishes with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mammogram", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as temporary:
        return os.dup(temporary.fileno())
