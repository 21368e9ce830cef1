"""How much memory of the GPU is taken, by every process on it."""

import ctypes
from typing import Any

from service.inference.pinned import driver


class DeviceMemory:
    """Asks NVIDIA's driver, within the context that ONNX Runtime computes in (the primary one).

    Parameters
    ----------
    library
        The driver; None where there is none.
    ordinal
        Of the device.
    """

    def __init__(self, library: Any = None, ordinal: int = 0) -> None:
        self._driver = driver() if library is None else library
        self._ordinal = ordinal

    def used_and_total(self) -> tuple[int, int] | None:
        """Return bytes taken and bytes there are; None where nobody says."""
        if self._driver is None:
            return None
        device, context = ctypes.c_int(), ctypes.c_void_p()
        if self._driver.cuDeviceGet(ctypes.byref(device), ctypes.c_int(self._ordinal)):
            return None
        if self._driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
            return None
        try:
            return self._ask(context)
        finally:
            self._driver.cuDevicePrimaryCtxRelease_v2(device)

    def _ask(self, context: ctypes.c_void_p) -> tuple[int, int] | None:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        if self._driver.cuCtxPushCurrent_v2(context):
            return None
        try:
            failed = self._driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        finally:
            self._driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        return None if failed else (total.value - free.value, total.value)
