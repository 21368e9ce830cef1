"""Memory for bodies and pixels that is lent, taken back and lent again.

Fresh memory costs four times as much as what is written into it: the system clears it and maps it
page by page, 4,150 of them for a mammogram.
"""

import contextlib
import ctypes
import mmap
import os
import sys
import tempfile
import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 2**20
"""Sizes are multiples of this, in bytes, so that nearly equal images fit one buffer."""

_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000) if sys.platform == "linux" else 0
"""Of memory for the most that may come, only what does come is ever there (mmap(2))."""


class Buffer:
    """Memory of this process alone, mapped at `address`.

    It takes memory where it was written to, and nowhere else.

    Parameters
    ----------
    size
        Bytes; rounded up.

    Raises
    ------
    OSError
        There is no memory.
    """

    def __init__(self, size: int) -> None:
        self.size = max(1, -(-size // STEP)) * STEP
        self.memory = self._map()
        self.address = ctypes.addressof(ctypes.c_uint8.from_buffer(self.memory))

    def part(self, length: int) -> NDArray[np.uint8]:
        """Return its first bytes as an array: uint8, shape (length,)."""
        return np.frombuffer(self.memory, np.uint8, length)

    def _map(self) -> mmap.mmap:
        if not hasattr(mmap, "MAP_PRIVATE"):
            return mmap.mmap(-1, self.size)
        return mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)


class FilledBuffer(Buffer):
    """Memory that is filled at once: in pages of 2 MiB, where the system has them.

    Filling it for the first time took 6.8 ms a mammogram in place of 19.4, and each pass over it
    looks up a page in place of 512. Of a body that comes byte by byte, it would take 2 MiB for one.
    """

    def _map(self) -> mmap.mmap:
        memory = super()._map()
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):
                memory.madvise(mmap.MADV_HUGEPAGE)
        return memory


class BufferPool:
    """Buffers that nobody uses; for several threads at once.

    Parameters
    ----------
    most_bytes
        Buffers are kept for the next ones as long as all, used or not, are no more than this.
    kind
        Of the buffers.
    """

    def __init__(self, most_bytes: int, kind: type[Buffer] = Buffer) -> None:
        self._most_bytes, self._kind = most_bytes, kind
        self._bytes = 0
        self._idle: list[Buffer] = []
        # A finaliser may run at any step of the thread that holds it.
        self._lock = threading.RLock()

    @property
    def idle_bytes(self) -> int:
        """What is kept for the next ones."""
        with self._lock:
            return sum(buffer.size for buffer in self._idle)

    def take(self, size: int) -> Buffer:
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
            buffer = self._kind(size)
            self._bytes += buffer.size
            weakref.finalize(buffer, self._ended, buffer.size).atexit = False
            return buffer

    def lend(self, buffer: Buffer, shape: tuple[int, int]) -> NDArray[np.uint16]:
        """Return what lies in a buffer as pixels; it is taken back once nobody refers to them.

        Returns
        -------
        uint16, `shape` (rows, columns), not to be written to.
        """
        loan = self._loan(buffer, ctypes.c_uint16 * (shape[0] * shape[1]))
        pixels: NDArray[np.uint16] = np.frombuffer(memoryview(loan), np.uint16).reshape(shape)
        pixels.flags.writeable = False
        return pixels

    def lend_bytes(self, buffer: Buffer, length: int) -> memoryview:
        """Return the first bytes of a buffer, not to be written to; otherwise as `lend`."""
        return memoryview(self._loan(buffer, ctypes.c_uint8 * length)).cast("B").toreadonly()

    def _loan(self, buffer: Buffer, kind: "type[ctypes.Array[Any]]") -> "ctypes.Array[Any]":
        loan = kind.from_buffer(buffer.memory)
        loan.buffer = buffer  # type: ignore[attr-defined]
        weakref.finalize(loan, self._take_back, buffer).atexit = False
        return loan

    def _take_back(self, buffer: Buffer) -> None:
        with self._lock:
            if self._bytes <= self._most_bytes:
                self._idle.append(buffer)

    def _ended(self, size: int) -> None:
        with self._lock:
            self._bytes -= size


def open_anonymous_file() -> int:
    """Return the descriptor of memory that vanishes with its last user; Linux can seal it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as temporary:
        return os.dup(temporary.fileno())
