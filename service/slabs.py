"""Memory for pixels that is lent, taken back and lent again.

Fresh memory costs four times as much as what is written into it: the system clears it and maps it
page by page, 4,150 of them for a mammogram.
"""

import ctypes
import mmap
import os
import tempfile
import threading
import weakref

import numpy as np
from numpy.typing import NDArray

STEP = 2**20
"""Sizes are multiples of this, in bytes, so that nearly equal images fit one slab."""


class Slab:
    """An anonymous file, mapped; `file` is its descriptor, for another process to write to."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // STEP) * STEP
        self.file = open_anonymous_file()
        weakref.finalize(self, os.close, self.file)
        os.ftruncate(self.file, self.size)
        self.memory = mmap.mmap(self.file, self.size)


class Slabs:
    """Slabs that nobody uses; for several threads at once.

    Parameters
    ----------
    kept_bytes
        Of those, at most so many are kept.
    """

    def __init__(self, kept_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        self._idle: list[Slab] = []
        # A finaliser may run at any step of the thread that holds it.
        self._lock = threading.RLock()

    @property
    def idle_bytes(self) -> int:
        """What is kept for the next ones."""
        with self._lock:
            return sum(slab.size for slab in self._idle)

    def take(self, size: int) -> Slab:
        """Give a slab of at least so many bytes; whoever drops it unlent, ends it.

        Raises
        ------
        OSError
            There is no memory.
        """
        with self._lock:
            fitting = [slab for slab in self._idle if slab.size >= size]
            if fitting:
                slab = min(fitting, key=lambda one: one.size)
                self._idle.remove(slab)
                return slab
        return Slab(size)

    def lend(self, slab: Slab, shape: tuple[int, int]) -> NDArray[np.uint16]:
        """Give what lies in a slab as pixels, and take it back once nobody refers to them.

        Returns
        -------
        uint16, `shape` (rows, columns), not to be written to.
        """
        loan = (ctypes.c_uint16 * (shape[0] * shape[1])).from_buffer(slab.memory)
        weakref.finalize(loan, self._take_back, slab).atexit = False
        pixels: NDArray[np.uint16] = np.frombuffer(memoryview(loan), np.uint16).reshape(shape)
        pixels.flags.writeable = False
        return pixels

    def _take_back(self, slab: Slab) -> None:
        with self._lock:
            if self.idle_bytes + slab.size <= self._kept_bytes:
                self._idle.append(slab)


def open_anonymous_file() -> int:
    """Give the descriptor of memory that vanishes with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mammogram", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as temporary:
        return os.dup(temporary.fileno())
