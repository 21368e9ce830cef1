"""What ONNX Runtime was built for, and what of NVIDIA's lies on this machine."""

import ctypes
import re
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from service.inference.pinned import driver

PACKAGES = ("onnxruntime", "onnxruntime-gpu")
"""Both own the module `onnxruntime`: of two, the one that was installed last is imported."""

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RuntimeBuild:
    """A build of ONNX Runtime.

    Attributes
    ----------
    packages
        Those that are installed, each with its version.
    version
        Of what is imported.
    cuda
        Of CUDA, (major, minor), that it was built for; None for a build without.
    providers
        That it was built with.
    """

    packages: tuple[str, ...]
    version: str
    cuda: Version | None
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nvidia:
    """What of NVIDIA's can be loaded here; None for what cannot.

    Attributes
    ----------
    driver_cuda
        The newest CUDA that the driver knows, (major, minor).
    cuda
        The CUDA runtime's, (major, minor).
    cudnn
        (major, minor).
    """

    driver_cuda: Version | None
    cuda: Version | None
    cudnn: Version | None


def installed_packages() -> tuple[str, ...]:
    """Return the packages that own the module `onnxruntime`, each with its version."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)


def parse_version(text: str) -> Version | None:
    """Return major and minor of a version; None where it is none."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return None if found is None else (int(found[1]), int(found[2]))


def nvidia(cuda_major: int | None) -> Nvidia:
    """Ask driver, CUDA and cuDNN for their versions.

    Parameters
    ----------
    cuda_major
        Of the CUDA that is looked for; None for none.
    """
    library = driver()
    return Nvidia(
        driver_cuda=_asked(library, "cuDriverGetVersion"),
        cuda=None
        if cuda_major is None
        else _asked(_loaded(f"libcudart.so.{cuda_major}"), "cudaRuntimeGetVersion"),
        cudnn=None if cuda_major is None else _cudnn(_loaded("libcudnn.so.9")),
    )


def _loaded(name: str) -> Any:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def _asked(library: Any, function: str) -> Version | None:
    """Return what a library says: 1000 times the major version and 10 times the minor one."""
    number = ctypes.c_int(0)
    try:
        if getattr(library, function)(ctypes.byref(number)) or number.value == 0:
            return None
    except AttributeError:
        return None
    return number.value // 1000, number.value % 1000 // 10


def _cudnn(library: Any) -> Version | None:
    """Return cuDNN's version; from 9 on 10,000 times the major and 100 times the minor one."""
    try:
        library.cudnnGetVersion.restype = ctypes.c_size_t
        number = int(library.cudnnGetVersion())
    except AttributeError:
        return None
    return number // 10_000, number % 10_000 // 100
