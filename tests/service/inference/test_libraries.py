import ctypes
from pathlib import Path

import pytest

from service.inference.device import Device
from service.inference.libraries import missing_library

pytestmark = pytest.mark.unit

GPUS: list[Device] = ["cuda", "tensorrt"]
MISSING = "{}: cannot open shared object file: No such file or directory"


def folder_with(folder: Path, *parts: str) -> Path:
    for part in parts:
        (folder / f"libonnxruntime_providers_{part}.so").touch()
    return folder


def complaining(monkeypatch: pytest.MonkeyPatch, about: str, complaint: str) -> None:
    def load(name: str, mode: int = 0) -> None:
        if about in name:
            raise OSError(complaint)

    monkeypatch.setattr(ctypes, "CDLL", load)


@pytest.mark.parametrize("device", GPUS)
def test_the_cpu_build_is_told_apart(device: Device, tmp_path: Path) -> None:
    assert "CPU build" in str(missing_library(tmp_path, device))


def test_a_cpu_needs_none(tmp_path: Path) -> None:
    assert missing_library(tmp_path, "cpu") is None


@pytest.mark.parametrize(
    ("device", "part", "library", "words"),
    [
        ("cuda", "cuda", "libcublas.so.13", r"libcublas\.so\.13 is missing; install the extra"),
        ("cuda", "cuda", "libcuda.so.1", r"driver's libcuda\.so\.1 is not visible"),
        ("tensorrt", "tensorrt", "libnvinfer.so.10", r"libnvinfer\.so\.10 .* install TensorRT"),
        ("tensorrt", "cuda", "libcudnn.so.9", r"libcudnn\.so\.9 is missing; install the extra"),
    ],
)
def test_what_is_missing_is_named_and_how_to_get_it(
    device: Device,
    part: str,
    library: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = folder_with(tmp_path, "shared", "cuda", "tensorrt")
    complaining(monkeypatch, f"providers_{part}", MISSING.format(library))
    found = missing_library(folder, device)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found)


def test_cuda_does_not_need_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaining(monkeypatch, "tensorrt", MISSING.format("libnvinfer.so.10"))
    assert missing_library(folder_with(tmp_path, "shared", "cuda"), "cuda") is None


def test_any_other_complaint_names_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaining(monkeypatch, "cuda", "undefined symbol: x")
    found = missing_library(folder_with(tmp_path, "shared", "cuda"), "cuda")
    assert found == "the library libonnxruntime_providers_cuda.so does not load"
