"""Which shared library keeps a GPU from working: ONNX Runtime itself does not say it plainly."""

import ctypes
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from service.inference.device import Device

DRIVER_LIBRARIES = {"libcuda.so.1", "libnvidia-ml.so.1"}
"""No package brings these: they belong to the host, and a container is given them."""

PARTS: dict[Device, tuple[str, ...]] = {
    "cpu": (),
    "cuda": ("shared", "cuda"),
    "tensorrt": ("shared", "cuda", "tensorrt"),
}
"""Of ONNX Runtime, by device; each may depend on those before it."""


def missing_library(folder: Path, device: Device) -> str | None:
    """Say which shared library keeps a device's providers from loading, or None if they load.

    Parameters
    ----------
    folder
        Where ONNX Runtime's libraries lie.
    device
        Whose providers.
    """
    for name in _names(PARTS[device]):
        if not (folder / name).exists():
            return "this onnxruntime is the CPU build; install the extra `cuda` instead"
        try:
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return _reason(name, str(error))
    return None


def _names(parts: Sequence[str]) -> list[str]:
    form = (
        "onnxruntime_providers_{}.dll"
        if sys.platform == "win32"
        else ("libonnxruntime_providers_{}.so")
    )
    return [form.format(part) for part in parts]


def _reason(name: str, complaint: str) -> str:
    """Put the loader's complaint about a library into words."""
    found = re.match(r"([\w.+-]+): cannot open shared object", complaint)
    if found is None:
        return f"the library {name} does not load"
    if found[1] in DRIVER_LIBRARIES:
        return f"the NVIDIA driver's {found[1]} is not visible to this process"
    if found[1].startswith("libnv") and "tensorrt" in name:
        return f"the library {found[1]} is missing; install TensorRT, on LD_LIBRARY_PATH"
    return f"the library {found[1]} is missing; install the extra `cuda`"
