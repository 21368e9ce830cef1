from pathlib import Path

import pytest

from service.inference import cuda
from service.inference.device import Gpu
from service.inference.tensorrt import PROVIDER, setups
from tests.identity_net import TILE, identity_contract

pytestmark = pytest.mark.unit

SIZES = (1, 2, 4)


def provider_options(gpu: Gpu, sha256: str = "ab" * 32) -> list[dict[str, str]]:
    contract = identity_contract()
    tiling = contract.tiling.model_copy(update={"narrower": ((TILE, 32),)})
    contract = contract.model_copy(update={"tiling": tiling})
    found = setups(gpu, contract, sha256, SIZES)
    assert all(setup.device == "tensorrt" and not setup.graph for setup in found)
    # What TensorRT does not take goes to CUDA, and never to the CPU.
    assert [[name for name, _ in setup.providers] for setup in found] == 2 * [
        [PROVIDER, cuda.PROVIDER]
    ]
    return [setup.providers[0][1] for setup in found]


def test_single_precision_comes_first_and_half_must_prove_itself() -> None:
    assert [one["trt_fp16_enable"] for one in provider_options(Gpu())] == ["0", "1"]


def test_one_engine_is_built_for_all_shapes_and_batch_sizes() -> None:
    for one in provider_options(Gpu()):
        assert one["trt_profile_min_shapes"] == f"tile:1x1x{TILE}x32"
        assert one["trt_profile_max_shapes"] == f"tile:4x1x{TILE}x{TILE}"
        assert one["trt_profile_opt_shapes"] == one["trt_profile_max_shapes"]


def test_engines_are_kept_apart_by_weights_and_precision(tmp_path: Path) -> None:
    gpu = Gpu(engines=tmp_path)
    folders = [
        one["trt_engine_cache_path"]
        for sha256 in ("ab" * 32, "cd" * 32)
        for one in provider_options(gpu, sha256)
    ]
    assert len(set(folders)) == 4
    # ONNX Runtime makes the folder, but not what it lies in.
    assert {Path(folder).parent for folder in folders} == {tmp_path}
    assert all(one["trt_engine_cache_enable"] == "1" for one in provider_options(gpu))


def test_without_a_folder_nothing_is_kept() -> None:
    assert not any("cache" in key for one in provider_options(Gpu()) for key in one)
