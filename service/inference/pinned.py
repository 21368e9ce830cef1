"""Host memory that a GPU copies from by itself: page-locked, where there is a driver to lock it."""

import ctypes
import sys
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

PORTABLE = 1
"""CU_MEMHOSTREGISTER_PORTABLE: locked for every context of the process."""


def driver() -> Any:
    """Return NVIDIA's driver, or None where there is none."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def page_locked(count: int, kind: np.dtype[Any], driver: Any) -> NDArray[Any]:
    """Return zeros of type `kind`, shape (count,), page-locked if the driver does it.

    Parameters
    ----------
    count, kind
        How many, and of which type.
    driver
        NVIDIA's, or None. Of the driver and not the runtime, since a refusal there leaves no error
        behind for the next CUDA call to find.
    """
    values: NDArray[Any] = np.zeros(count, kind)
    if driver is None:
        return values
    start, size = ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.nbytes)
    if driver.cuMemHostRegister_v2(start, size, ctypes.c_uint(PORTABLE)) == 0:
        # Before the memory is given back: the driver would go on copying from its old pages.
        weakref.finalize(values, driver.cuMemHostUnregister, start).atexit = False
    return values
