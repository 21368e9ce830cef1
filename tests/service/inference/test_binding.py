"""On the CPU provider, which takes bound buffers too."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from service.inference.binding import BoundRuns
from tests.identity_net import TILE, write_identity_net

pytestmark = pytest.mark.integration

NAMES = ["tile", "probability", "has_mask", "activation"]
MAX_BATCH = 4
SHAPES = [(batch, 1, TILE, side) for side in (TILE, 32) for batch in (1, 2, MAX_BATCH)]


class Watched:
    """A runtime and its library that remember what was asked of them."""

    def __init__(self, path: Path) -> None:
        self.runtime = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.buffers: list[tuple[int, ...]] = []
        self.graph_ids: list[str | None] = []
        self.addresses: list[tuple[int, ...]] = []
        self.RunOptions = onnxruntime.RunOptions
        self.OrtValue = SimpleNamespace(ortvalue_from_shape_and_type=self._buffer)

    def _buffer(self, shape: list[int], *given: Any) -> Any:
        self.buffers.append(tuple(shape))
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, *given)

    def io_binding(self) -> Any:
        return self.runtime.io_binding()

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self.graph_ids.append(options and options.get_run_config_entry("gpu_graph_id"))
        self.runtime.run_with_iobinding(binding, options)
        self.addresses.append(tuple(value.data_ptr() for value in binding.get_outputs()))

    def bound(self, graph: bool = False) -> BoundRuns:
        stage = np.full(MAX_BATCH * TILE * TILE, 0.5, np.float32)
        return BoundRuns(self, self, NAMES, stage, device="cpu", graph=graph)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(write_identity_net(tmp_path / "net.onnx"))


def tiles_of(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, np.float32)


def test_bound_runs_answer_as_plain_ones_do(watched: Watched) -> None:
    bound = watched.bound()
    for seed, shape in enumerate([*SHAPES, *reversed(SHAPES)]):
        tiles = tiles_of(shape, seed)
        plain = watched.runtime.run(NAMES[1:], {"tile": tiles})
        for found, expected in zip(bound.run(tiles), plain, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_an_answer_outlives_the_next_run(watched: Watched) -> None:
    bound = watched.bound()
    first = bound.run(tiles_of(SHAPES[0], 0))
    kept = [one.copy() for one in first]
    second = bound.run(tiles_of(SHAPES[0], 1))
    for one, copy, other in zip(first, kept, second, strict=True):
        np.testing.assert_array_equal(one, copy)
        assert not np.array_equal(one, other)


def test_buffers_are_laid_out_once_a_shape(watched: Watched) -> None:
    bound = watched.bound()
    for shape in SHAPES:
        bound.run(tiles_of(shape, 0))
    laid_out = list(watched.addresses[1::2])
    watched.addresses.clear()
    for seed in range(3):
        for shape in SHAPES:
            bound.run(tiles_of(shape, seed))
    assert watched.buffers == SHAPES
    assert watched.addresses == 3 * laid_out
    assert len(set(laid_out)) == len(SHAPES)


def test_what_is_put_into_the_room_is_run_as_it_lies(watched: Watched) -> None:
    bound = watched.bound()
    buffer = bound.input_buffer(SHAPES[1])
    buffer[:] = tiles_of(SHAPES[1], 3)
    probability, *_ = bound.run(buffer)
    np.testing.assert_array_equal(probability, tiles_of(SHAPES[1], 3))
    assert np.shares_memory(buffer, bound.input_buffer(SHAPES[0]))


def test_each_shape_is_captured_under_an_id_of_its_own_after_a_plain_run(watched: Watched) -> None:
    bound = watched.bound(graph=True)
    for shape in (SHAPES[0], SHAPES[0], SHAPES[4], SHAPES[0], SHAPES[4]):
        bound.run(tiles_of(shape, 0))
    assert watched.graph_ids == ["-1", "0", "0", "-1", "1", "0", "1"]


def test_nothing_is_captured_unless_asked_for(watched: Watched) -> None:
    watched.bound().run(tiles_of(SHAPES[0], 0))
    assert watched.graph_ids == [None, None]
