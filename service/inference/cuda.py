"""How a model may be opened under CUDA. Which way is the fastest, each machine measures at start.

The options: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
"""

from service.inference.device import Gpu
from service.inference.provider_setup import ProviderSetup

PROVIDER = "CUDAExecutionProvider"

PLAIN = {"cudnn_conv_algo_search": "HEURISTIC", "prefer_nhwc": "0", "use_tf32": "0"}

SEARCHED = PLAIN | {"cudnn_conv_algo_search": "EXHAUSTIVE"}
NHWC = SEARCHED | {"prefer_nhwc": "1"}
# 10 bits of mantissa in convolutions: whether that still is the net, the golden tile decides.
TF32 = NHWC | {"use_tf32": "1"}
GRAPH = {"enable_cuda_graph": "1"}

CANDIDATES: dict[str, dict[str, str]] = {
    "cuda": PLAIN,
    "cuda, searched": SEARCHED,
    "cuda, searched, nhwc": NHWC,
    "cuda, searched, nhwc, tf32": TF32,
    "cuda, searched, nhwc, graph": NHWC | GRAPH,
    "cuda, searched, nhwc, tf32, graph": TF32 | GRAPH,
}
"""Provider options by name, the plainest first."""


def options(gpu: Gpu, candidate: dict[str, str]) -> dict[str, str]:
    """Return the provider's options: a candidate's, and those that hold for all."""
    # Shapes never change after the warm-up: the arena need not grow by more than is asked for.
    common = {"arena_extend_strategy": "kSameAsRequested"}
    if gpu.memory_mib is not None:
        common["gpu_mem_limit"] = str(gpu.memory_mib << 20)
    return common | candidate


def setups(gpu: Gpu) -> tuple[ProviderSetup, ...]:
    """Return every way to open a model, the plainest first."""
    return tuple(
        ProviderSetup(
            "cuda", name, ((PROVIDER, options(gpu, candidate)),), "enable_cuda_graph" in candidate
        )
        for name, candidate in CANDIDATES.items()
    )
