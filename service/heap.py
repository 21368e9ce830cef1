"""What the C library keeps of memory that was given back to it.

glibc has an arena for each of many threads, and learns to keep in each as much as twice the largest
block that was ever given back (mallopt(3), M_MMAP_THRESHOLD). Images of all sizes on twenty threads
left 200 MiB behind in half an hour, and it was still growing: what `MEMORY_MIB` shares out knows
nothing of that.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

MAX_ARENAS = 2

MAPPED_BYTES = 4 << 20
"""Blocks from here on are mapped, and go back to the system at once; NumPy asks for huge pages from
the same size on."""

KEPT_BYTES = 16 << 20
"""Free memory that an arena keeps at its top."""

CHOSEN = (
    ("MALLOC_ARENA_MAX", _ARENA_MAX, MAX_ARENAS),
    ("MALLOC_MMAP_THRESHOLD_", _MMAP_THRESHOLD, MAPPED_BYTES),
    ("MALLOC_TRIM_THRESHOLD_", _TRIM_THRESHOLD, KEPT_BYTES),
)
"""glibc's own variables, its parameters, and what they are set to here."""


def bound_heap() -> bool:
    """Have memory that is free go back to the system; false where the C library is not glibc.

    To be called before there are other threads. A variable of glibc's own that is set stands.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # It answers 1 for what it knows.
    known = [mallopt(option, size) for name, option, size in CHOSEN if name not in os.environ]
    return all(answer == 1 for answer in known)
