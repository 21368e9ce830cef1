"""Which device the net runs on. Explicit: nothing here ever falls back in silence."""

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Device = Literal["cpu", "cuda", "tensorrt"]
DeviceChoice = Literal["auto", "cpu", "cuda", "tensorrt"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the operator allows a GPU.

    Attributes
    ----------
    memory_mib
        Bound on the arena that the net computes in, MiB; None for all that the device has.
    engines
        Folder that is there, for the engines TensorRT builds; None to build them at each start.
    autotune
        Whether the faster ways to run are tried at start, or the plainest is taken.
    """

    memory_mib: int | None = None
    engines: Path | None = None
    autotune: bool = True


def resolve_device(choice: DeviceChoice) -> Device:
    """Turn the operator's choice into a device.

    `auto` means cuda (never tensorrt) wherever an NVIDIA device is visible; if that device then
    does not work, the start fails instead of running on the CPU.
    """
    if choice != "auto":
        return choice
    return "cuda" if nvidia_device_visible() else "cpu"


def nvidia_device_visible() -> bool:
    """Tell whether this process can see an NVIDIA device.

    ONNX Runtime's own `get_device()` and `get_available_providers()` name CUDA on machines that
    have none: they tell how the package was built.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in {"", "-1"}:
        return False
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    return _driver_counts_devices()


def _driver_counts_devices() -> bool:
    """Ask the driver itself: WSL and Windows have no /dev/nvidia0."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int(0)
        return (
            driver.cuInit(0) == 0
            and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
            and count.value > 0
        )
    except (OSError, AttributeError):
        return False
