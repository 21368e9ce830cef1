"""Runs with fixed addresses: buffers are laid out once a shape, and nothing is allocated later."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, ...]

GRAPH_ID = "gpu_graph_id"
NOT_CAPTURED = "-1"


class BoundRuns:
    """Runs a model on buffers of its own. Not for several threads at once.

    Every shape and batch size keeps its input and outputs on the device, from its first run on;
    one host buffer serves them all.

    Parameters
    ----------
    runtime
        An `onnxruntime.InferenceSession`.
    library
        The module `onnxruntime`.
    names
        Of the input, then of the outputs.
    stage
        The host buffer: of the input's type, flat, as large as the largest input.
    device
        Where the buffers lie, as ONNX Runtime names devices.
    graph
        Capture each shape and batch size as a CUDA graph.
    """

    def __init__(
        self,
        runtime: Any,
        library: Any,
        names: Sequence[str],
        stage: NDArray[Any],
        *,
        device: str,
        graph: bool,
    ) -> None:
        self._runtime, self._library, self._names = runtime, library, names
        self._stage, self._device, self._graph = stage, device, graph
        self._runs: dict[Key, _BoundRun] = {}

    def input_buffer(self, shape: Key) -> NDArray[Any]:
        """Return the host buffer's part, in this shape, that the next input is best put into."""
        return self._stage[: int(np.prod(shape))].reshape(shape)

    def run(self, tiles: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Run tiles, (N, 1, rows, columns); return the outputs, float32, copied."""
        buffer = self.input_buffer(tiles.shape)
        if not np.may_share_memory(tiles, buffer):
            np.copyto(buffer, tiles)
        if tiles.shape not in self._runs:
            self._runs[tiles.shape] = self._bind(tiles.shape)
        return self._runs[tiles.shape].run(buffer)

    def _bind(self, shape: Key) -> "_BoundRun":
        """Lay out the input, and let a first run lay out the outputs."""
        tile, *outputs = self._names
        value = self._library.OrtValue.ortvalue_from_shape_and_type(
            list(shape), self._stage.dtype.type, self._device, 0
        )
        value.update_inplace(np.zeros(shape, self._stage.dtype))
        binding = self._runtime.io_binding()
        binding.bind_ortvalue_input(tile, value)
        for name in outputs:
            binding.bind_output(name, self._device, 0)
        self._runtime.run_with_iobinding(binding, self._options(NOT_CAPTURED))
        for name, output in zip(outputs, binding.get_outputs(), strict=True):
            binding.bind_ortvalue_output(name, output)
        options = self._options(str(len(self._runs)))
        return _BoundRun(self._runtime, binding, value, options)

    def _options(self, graph_id: str) -> Any:
        if not self._graph:
            return None
        options = self._library.RunOptions()
        options.add_run_config_entry(GRAPH_ID, graph_id)
        return options


class _BoundRun:
    """One shape and batch size."""

    def __init__(self, runtime: Any, binding: Any, value: Any, options: Any) -> None:
        self._runtime, self._binding, self._options = runtime, binding, options
        self._input, self._outputs = value, binding.get_outputs()

    def run(self, tiles: NDArray[Any]) -> list[NDArray[np.float32]]:
        self._input.update_inplace(tiles)
        self._runtime.run_with_iobinding(self._binding, self._options)
        self._binding.synchronize_outputs()
        return [_copied(output) for output in self._outputs]


def _copied(value: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = value.numpy()
    # From a device it is a copy already; on the host it is the buffer itself.
    return array.copy() if array.ctypes.data == value.data_ptr() else array
