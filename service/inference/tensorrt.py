"""How a model may be opened under TensorRT: an engine of its own, built once and kept.

The options: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
"""

from collections.abc import Sequence

from service.inference import cuda
from service.inference.contract import Contract
from service.inference.device import Gpu
from service.inference.provider_setup import ProviderSetup

PROVIDER = "TensorrtExecutionProvider"


def setups(
    gpu: Gpu, contract: Contract, sha256: str, batch_sizes: Sequence[int]
) -> tuple[ProviderSetup, ...]:
    """Return the ways to open a model: in single precision, and in half.

    What TensorRT does not take, CUDA does; the CPU never.
    """
    return tuple(
        ProviderSetup(
            "tensorrt",
            "tensorrt, half" if half else "tensorrt",
            (
                (PROVIDER, _profile(contract, batch_sizes) | _precision(gpu, sha256, half)),
                (cuda.PROVIDER, cuda.options(gpu, cuda.PLAIN)),
            ),
        )
        for half in (False, True)
    )


def _profile(contract: Contract, batch_sizes: Sequence[int]) -> dict[str, str]:
    """Name the range of shapes, so that one engine is built for all of them."""
    shapes, name = contract.tiling.shapes, contract.input.name
    rows, columns = zip(*shapes, strict=True)
    least = f"{name}:{min(batch_sizes)}x1x{min(rows)}x{min(columns)}"
    most = f"{name}:{max(batch_sizes)}x1x{max(rows)}x{max(columns)}"
    return {
        "trt_profile_min_shapes": least,
        "trt_profile_opt_shapes": most,
        "trt_profile_max_shapes": most,
    }


def _precision(gpu: Gpu, sha256: str, half: bool) -> dict[str, str]:
    given = {"trt_fp16_enable": str(int(half))}
    if gpu.engines is None:
        return given
    # ONNX Runtime knows an engine by the graph's form: one of other weights would be taken for it.
    folder = gpu.engines / f"{sha256[:16]}-{'half' if half else 'single'}"
    return given | {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
