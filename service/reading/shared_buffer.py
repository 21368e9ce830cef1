"""Memory that the service shares with one reader, for as long as that lives, and with no other.

It is sealed: nobody can shorten it under the service, which would end it by SIGBUS.
"""

import fcntl
import mmap
import os
import weakref

import numpy as np
from numpy.typing import NDArray

from service.buffer_pool import Buffer, open_anonymous_file


def can_seal() -> bool:
    """Say whether this system has memory that can be sealed (Linux, memfd_create)."""
    return hasattr(os, "memfd_create") and hasattr(fcntl, "F_ADD_SEALS")


class SharedBuffer(Buffer):
    """Memory in an anonymous file; `file` is its descriptor, for another process.

    It takes memory where it was written to, and nowhere else.

    Parameters
    ----------
    size
        Bytes; rounded up.

    Raises
    ------
    OSError
        There is no memory, or no descriptor.
    """

    file: int

    def empty(self) -> None:
        """Free its memory, even while another process has it mapped; it then reads as zeros."""
        if hasattr(mmap, "MADV_REMOVE"):
            self.memory.madvise(mmap.MADV_REMOVE)

    def _map(self) -> mmap.mmap:
        self.file = open_anonymous_file()
        weakref.finalize(self, os.close, self.file)
        os.ftruncate(self.file, self.size)
        if can_seal():
            fcntl.fcntl(
                self.file,
                fcntl.F_ADD_SEALS,
                fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
            )
        return mmap.mmap(self.file, self.size)


def map_file(file: int, length: int) -> memoryview:
    """Map a file to be read, and close it; the view keeps the mapping.

    In one go where the system can: a frame is 6,500 pages, a fault each.
    """
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    try:
        if length == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file, length, flags=flags, prot=mmap.PROT_READ))
    finally:
        os.close(file)


def map_shared(file: int, length: int) -> NDArray[np.uint8]:
    """Map memory that another process shares, to be read and written, and close its descriptor.

    Returns
    -------
    uint8, shape (length,); it keeps the mapping.
    """
    try:
        return np.frombuffer(mmap.mmap(file, length), np.uint8)
    finally:
        os.close(file)
