"""Each check, on machines that are fit and on some that are not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.capacity.plan import MemoryPlan
from service.doctor.check import Check
from service.doctor.machine import (
    cores_check,
    memory_check,
    processor_check,
    python_check,
)
from service.doctor.model import sandbox_check, timing_check
from service.doctor.runtime import build_check, cuda_check, cudnn_check, driver_check
from service.inference.runtime_build import Nvidia, RuntimeBuild, parse_version
from service.telemetry.machine import instruction_set

pytestmark = pytest.mark.unit

PLAN = MemoryPlan(readers=2, reader_mib=258, bodies_mib=316, pixels_mib=632)
CPU = RuntimeBuild(("onnxruntime 1.32.0",), "1.32.0", None, ("CPUExecutionProvider",))
GPU = RuntimeBuild(("onnxruntime-gpu 1.32.0",), "1.32.0", (12, 8), ("CUDAExecutionProvider",))
BOTH = RuntimeBuild(("onnxruntime 1.32.0", "onnxruntime-gpu 1.32.0"), "1.32.0", None, ())


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (lambda: python_check((3, 11, 7)), "well"),
        (lambda: python_check((3, 10, 12)), "mend"),
        (lambda: processor_check("a Xeon, avx512_vnni", "avx512_vnni"), "well"),
        (lambda: processor_check("a QEMU, sse4_2", "sse4_2"), "note"),
        (lambda: processor_check("an M3, unknown", "unknown"), "well"),
        (lambda: cores_check(2, 2, 64), "well"),
        (lambda: cores_check(8, 2, 64), "note"),
        (lambda: memory_check(2048, PLAN, {"the container": 4096, "the machine": 65536}), "well"),
        (lambda: memory_check(2048, PLAN, {"the container": 1024, "the machine": 65536}), "mend"),
        (lambda: memory_check(2048, PLAN, {}), "well"),
        (lambda: build_check(CPU, "cpu"), "well"),
        (lambda: build_check(GPU, "cpu"), "well"),
        (lambda: build_check(GPU, "cuda"), "well"),
        (lambda: build_check(CPU, "cuda"), "mend"),
        (lambda: build_check(BOTH, "cpu"), "mend"),
        (lambda: driver_check((12, 8), Nvidia((13, 0), None, None)), "well"),
        # Minor versions are compatible.
        (lambda: driver_check((12, 8), Nvidia((12, 2), None, None)), "well"),
        (lambda: driver_check((12, 8), Nvidia((11, 8), None, None)), "mend"),
        (lambda: driver_check((12, 8), Nvidia(None, None, None)), "mend"),
        (lambda: cuda_check((12, 8), Nvidia(None, (12, 8), None)), "well"),
        (lambda: cuda_check((12, 8), Nvidia(None, None, None)), "mend"),
        (lambda: cudnn_check(Nvidia(None, None, (9, 10))), "well"),
        (lambda: cudnn_check(Nvidia(None, None, (8, 9))), "mend"),
        (lambda: cudnn_check(Nvidia(None, None, None)), "mend"),
        (lambda: sandbox_check({"readers": {"landlock": "on, version 7"}}), "well"),
        (lambda: sandbox_check({"readers": {"landlock": "off: errno 38"}}), "note"),
        (lambda: timing_check(200.0, 100.0), "well"),
        (lambda: timing_check(900.0, 100.0), "note"),
        (lambda: timing_check(9.0, 0.0), "note"),
    ],
)
def test_what_is_not_fit_is_said_with_what_to_do(check: Callable[[], Check], state: str) -> None:
    found = check()
    assert found.state == state, found
    assert bool(found.advice) == (state != "well")


@pytest.mark.parametrize(
    ("flags", "best"),
    [
        ("flags\t\t: fpu sse4_2 avx avx2 avx512f avx512_vnni", "avx512_vnni"),
        ("flags\t\t: fpu sse4_2", "sse4_2"),
        ("Features\t: fp asimd", "asimd"),
        ("processor : 0", "unknown"),
    ],
)
def test_the_best_instruction_set_is_named(flags: str, best: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    assert instruction_set(tmp_path / "cpuinfo") == best
    assert instruction_set(tmp_path / "absent") == "unknown"


def test_versions_are_read() -> None:
    assert parse_version("12.8") == (12, 8)
    assert parse_version("13.0.1") == (13, 0)
    assert parse_version("") is None
