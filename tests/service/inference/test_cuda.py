import pytest

from service.inference.cuda import CANDIDATES, PROVIDER, setups
from service.inference.device import Gpu

pytestmark = pytest.mark.unit


def test_every_setup_bounds_the_arena_as_told_and_leaves_no_node_to_the_cpu() -> None:
    for setup in setups(Gpu(memory_mib=2048)):
        ((provider, options),) = setup.providers
        assert (setup.device, provider) == ("cuda", PROVIDER)
        assert options["gpu_mem_limit"] == str(2 * 1024**3)
        assert options["arena_extend_strategy"] == "kSameAsRequested"


def test_without_a_bound_none_is_set() -> None:
    assert all("gpu_mem_limit" not in setup.providers[0][1] for setup in setups(Gpu()))


def test_the_plainest_comes_first_and_none_comes_twice() -> None:
    first, *others = setups(Gpu())
    assert first.providers[0][1] | {"use_tf32": "0", "prefer_nhwc": "0"} == first.providers[0][1]
    assert not first.graph
    assert len(set(map(str, (first, *others)))) == len(CANDIDATES) >= 4


def test_a_setup_is_captured_exactly_where_its_provider_is_told_to() -> None:
    told = [setup.providers[0][1].get("enable_cuda_graph") == "1" for setup in setups(Gpu())]
    assert told == [setup.graph for setup in setups(Gpu())]
    assert {True, False} == set(told)
