import pytest

from service.inference.faults import fault_of

pytestmark = pytest.mark.unit

RAN = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. "

STICKY = (
    "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; expr=cudaMemcpyAsync",
    RAN + "CUDA failure 719: unspecified launch failure ; GPU=0",
    "CUDA failure 214: uncorrectable ECC error encountered",
    "CUDA error: device-side assert triggered",
    # Memory is named, too: the worse of the two counts.
    "CUDA failure 700: out of memory",
)
MEMORY = (
    "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size)",
    RAN
    + "BFCArena::AllocateRawInternal Available memory of 0 is smaller than requested bytes of 5",
    RAN + "Failed to allocate memory for requested buffer of size 26214400",
    "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
)
UNKNOWN = (
    RAN + "CUDNN failure 8: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0",
    "CUDA failure 1: invalid argument ; GPU=0",
    # No code: the digits belong to something else.
    "Got 700 dimensions for input: tile",
    "CUDA failure 20: no such thing",
    "CUDA failure 7000",
)


@pytest.mark.parametrize("text", STICKY)
def test_what_corrupts_the_context_is_sticky(text: str) -> None:
    assert fault_of(RuntimeError(text)) == "sticky"


@pytest.mark.parametrize("text", MEMORY)
def test_a_full_arena_is_not_sticky(text: str) -> None:
    assert fault_of(RuntimeError(text)) == "memory"


@pytest.mark.parametrize("text", UNKNOWN)
def test_of_anything_else_nothing_is_claimed(text: str) -> None:
    assert fault_of(RuntimeError(text)) == "unknown"
