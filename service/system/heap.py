"""What is kept of memory that was given back, by the C library and by Python.

glibc has an arena for each of many threads, and learns to keep in each as much as twice the largest
block that was ever given back (mallopt(3), M_MMAP_THRESHOLD). Images of all sizes on twenty threads
left 200 MiB behind in half an hour, and it was still growing: what `MEMORY_MIB` shares out knows
nothing of that.

Python looks for cycles that nobody holds any more in all that it has, modules included, when what
is new comes to a quarter of the old. With 400,000 objects of libraries it did so seldom, and held
up every thread for a third of a second.
"""

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator
from typing import Any

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


def give_back() -> None:
    """Give free memory back to the system that lies between blocks in use (malloc_trim(3)).

    Takes some milliseconds, in which other threads go on. Nothing happens without glibc.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


MAX_SURVIVORS = 20_000
"""Objects that outlive a search for cycles and are searched again; of more, most are there for
good, as tables that a library reads when it first needs them."""


@contextlib.contextmanager
def unsearched() -> Iterator[None]:
    """Search for no cycles meanwhile: of what is imported, everything stays.

    The imports of `serve` take seven in a hundred instructions less (callgrind).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def spare_what_is_loaded() -> None:
    """Have Python search what is loaded by now for cycles no more, nor what will be loaded in bulk.

    To be called once, when modules and models are loaded. An object that is spared goes, as ever,
    when nobody refers to it; only a cycle of such objects stays.
    """
    gc.freeze()
    gc.callbacks.append(_spare_survivors)


def _spare_survivors(phase: str, info: dict[str, Any]) -> None:
    whole = phase == "stop" and info["generation"] == 2
    if whole and len(gc.get_objects(generation=2)) > MAX_SURVIVORS:
        gc.freeze()
