"""Looks at ONNX Runtime's build and at what a GPU needs."""

from collections.abc import Iterator

from service.doctor.check import Check, mend, well
from service.inference.device import Device
from service.inference.runtime_build import Nvidia, RuntimeBuild, Version, nvidia
from service.inference.session import load_cuda, runtime_build

CUDA_ADVICE = "pip install '.[cuda]' in the checkout"

LEAST_CUDNN = 9
"""ONNX Runtime's builds for CUDA 12 and 13 need cuDNN 9."""


def runtime_checks(device: Device) -> Iterator[Check]:
    """Yield what there is to say of the runtime, and of NVIDIA's libraries where they are used."""
    build = runtime_build()
    yield build_check(build, device)
    if device == "cpu" or build.cuda is None:
        return
    load_cuda()
    found = nvidia(build.cuda[0])
    yield driver_check(build.cuda, found)
    yield cuda_check(build.cuda, found)
    yield cudnn_check(found)


def build_check(build: RuntimeBuild, device: Device) -> Check:
    """Check that one build is installed, and that it is one for the device."""
    cuda = "no CUDA" if build.cuda is None else f"CUDA {_said(build.cuda)}"
    found = f"{', '.join(build.packages) or build.version} ({cuda})"
    if len(build.packages) > 1:
        advice = "both own one module: uninstall both, and install the one that is wanted"
        return mend("runtime", found, advice)
    if device != "cpu" and build.cuda is None:
        advice = f"this is the CPU's build: {CUDA_ADVICE}, or set MAMMOSEG_DEVICE=cpu"
        return mend("runtime", found, advice)
    return well("runtime", found)


def driver_check(needed: Version, found: Nvidia) -> Check:
    """Check that the driver knows the CUDA that the runtime was built for.

    Minor versions are compatible with one another (CUDA Compatibility, minor version).
    """
    if found.driver_cuda is None:
        advice = "no NVIDIA driver answers: start the container with --gpus all, or install one"
        return mend("driver", "none", advice)
    said = f"knows CUDA up to {_said(found.driver_cuda)}; {_said(needed)} is needed"
    if found.driver_cuda[0] < needed[0]:
        return mend("driver", said, f"install a driver that knows CUDA {needed[0]}")
    return well("driver", said)


def cuda_check(needed: Version, found: Nvidia) -> Check:
    """Check that the CUDA runtime is there."""
    if found.cuda is None:
        return mend("cuda", "none", f"{CUDA_ADVICE}, which brings CUDA {needed[0]}")
    return well("cuda", f"{_said(found.cuda)}; built for {_said(needed)}")


def cudnn_check(found: Nvidia) -> Check:
    """Check that cuDNN is there."""
    if found.cudnn is None:
        return mend("cudnn", "none", f"{CUDA_ADVICE}, which brings cuDNN {LEAST_CUDNN}")
    if found.cudnn[0] < LEAST_CUDNN:
        return mend("cudnn", _said(found.cudnn), f"cuDNN {LEAST_CUDNN} is needed")
    return well("cudnn", _said(found.cudnn))


def _said(version: Version) -> str:
    return ".".join(map(str, version))
