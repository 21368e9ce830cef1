"""The only file that imports onnxruntime: an ONNX file opened on exactly the device asked for."""

import contextlib
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ContractError, DeviceError
from service.inference.batching import BATCH_SIZES
from service.inference.binding import BoundRuns
from service.inference.contract import PREFIX, Contract
from service.inference.graph_shapes import axes, check_answer, check_graph
from service.inference.levels import quantize_into
from service.inference.libraries import missing_library
from service.inference.model_file import ModelFile, unwrapped
from service.inference.net import ModelInfo, TilePrediction
from service.inference.pinned import driver, page_locked
from service.inference.provider_setup import ON_CPU, ProviderSetup
from service.inference.runtime_build import RuntimeBuild, installed_packages, parse_version
from service.system.process_limits import LACK_OF_THREADS

# Since 1.29 the official Linux packages report each session to their maker, from import on.
# A hospital's machine reports to nobody: this must be set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

NO_THREAD = "pthread_create failed"
"""What the runtime says where it can start no thread; it has no class of its own for that."""

RUNTIME_VERSION: str = onnxruntime.__version__


def runtime_build() -> RuntimeBuild:
    """Return what the runtime that is imported was built for."""
    return RuntimeBuild(
        packages=installed_packages(),
        version=RUNTIME_VERSION,
        cuda=parse_version(str(getattr(onnxruntime, "cuda_version", ""))),
        providers=tuple(onnxruntime.get_available_providers()),
    )


def load_cuda() -> None:
    """Load the CUDA and cuDNN that packages brought.

    What the runtime prints of those that do not load is no command's output.
    """
    with contextlib.redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()


@dataclass(frozen=True, slots=True, eq=False)
class TileOutputs:
    """What the net says of a batch of N tiles.

    Attributes
    ----------
    probability
        float32 in [0, 1], shape (N, rows, columns), the tiles' own.
    has_mask
        float32, shape (N,): logits.
    activation
        float32, shape (N, h, w): the map whose pooling is the logit.
    classes
        float32 in [0, 1], shape (N, K, rows, columns); None where the contract names no classes.
    """

    probability: NDArray[np.float32]
    has_mask: NDArray[np.float32]
    activation: NDArray[np.float32]
    classes: NDArray[np.float32] | None = None

    def prediction(self, index: int) -> TilePrediction:
        """Return what is said of one of the tiles."""
        return TilePrediction(
            self.probability[index],
            float(self.has_mask[index]),
            self.activation[index],
            None if self.classes is None else self.classes[index],
        )


class Session:
    """A model on a device. On a CPU, `run` may be called from several threads at once.

    Use `Session.open`; attributes: `contract`, `id` and `sha256` (of the file), `setup`, `device`.
    """

    def __init__(
        self, runtime: Any, contract: Contract, file: ModelFile, setup: ProviderSetup, threads: int
    ) -> None:
        self._runtime = runtime
        self.contract = contract
        self.id, self.sha256 = file.id, file.sha256
        self.setup = setup
        self.device = setup.device
        self.threads = threads
        self._outputs = list(contract.outputs.named)
        self._kind = np.dtype(contract.input.dtype)
        self._bound = None if self.device == "cpu" else self._bind()

    @property
    def model_info(self) -> ModelInfo:
        """Which model this is, and how it runs."""
        return ModelInfo(
            contract=self.contract,
            sha256=self.sha256,
            device=self.device,
            provider=self.setup.providers[0][0],
            runtime=RUNTIME_VERSION,
            setup=self.setup.name,
            whole_pixels=self.whole_pixels,
            id=self.id,
        )

    @property
    def whole_pixels(self) -> int:
        """Up to so many pixels, a breast is one tile of its own shape; 0 where tiles are fixed.

        The contract bounds them, and so the memory of a run. A GPU lays out memory and chooses
        kernels for each new shape, a CPU does neither.
        """
        return self.contract.tiling.whole_pixels if self.device == "cpu" else 0

    @classmethod
    def open(
        cls, model: Path | ModelFile, *, setup: ProviderSetup = ON_CPU, threads: int = 1
    ) -> "Session":
        """Open an ONNX file.

        Parameters
        ----------
        model
            One file, no external data; or what was read of it.
        setup
            The device, and how it is used.
        threads
            CPU threads inside one run.

        Raises
        ------
        ContractError
            The file is not there, is no ONNX model or not all of one, or its contract does not
            hold.
        DeviceError
            The device does not work; the message names what is missing.
        """
        file = model if isinstance(model, ModelFile) else ModelFile.read(model)
        runtime = _open_runtime(file.content, setup, threads)
        metadata = runtime.get_modelmeta().custom_metadata_map
        if not any(key.startswith(PREFIX) for key in metadata):
            raise ContractError(f"{file.path} is an ONNX model, but {unwrapped(file.path)}")
        contract = Contract.from_metadata(metadata)
        check_graph(runtime, contract)
        return cls(runtime, contract, file, setup, threads)

    def close(self) -> None:
        """Let go of the weights, which are not to be kept by whoever still asks for the model."""
        self._runtime = self._bound = None

    def input_buffer(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array, of the input's type and of `shape`, to `quantize_into` and to `run`.

        What it holds at first is undefined. On a GPU it is the memory of the next input itself.
        """
        return (
            np.empty(shape, self._kind) if self._bound is None else self._bound.input_buffer(shape)
        )

    def run(self, tiles: NDArray[Any]) -> TileOutputs:
        """Run the net on tiles of shape (N, 1, rows, columns), one of the contract's.

        They are float32 in the net's range, or what was put into an `input_buffer`.
        """
        if tiles.dtype != self._kind:
            buffer = self.input_buffer(tiles.shape)
            quantize_into(tiles, buffer, self.contract.input)
            tiles = buffer
        if self._bound is None:
            outputs = self._runtime.run(self._outputs, {self.contract.input.name: tiles})
        else:
            outputs = self._bound.run(tiles)
        check_answer(outputs, tiles.shape, self.contract)
        probability, has_mask, activation, *classes = outputs
        return TileOutputs(probability[:, 0], has_mask[:, 0], activation[:, 0], *classes)

    def _bind(self) -> BoundRuns:
        largest = BATCH_SIZES[self.device][-1] * int(np.prod(self.contract.tiling.tile_shape))
        return BoundRuns(
            self._runtime,
            onnxruntime,
            [self.contract.input.name, *self._outputs],
            page_locked(largest, self._kind, driver()),
            device="cuda",
            graph=self.setup.graph,
        )


@cache
def _share_arena() -> None:
    """Let all sessions on a CPU take the memory of their runs from one arena.

    With one each, what a session took for its largest run was its own for good: a second net of
    the bundled model beside the first took 330 MiB, its session of several threads 270; of one
    arena they take 11 each, since it holds what runs at once. It grows by what is asked for, not
    in powers of two: 605 MiB resident in place of 790, no run slower.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu",
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        0,
        onnxruntime.OrtMemType.DEFAULT,
    )
    as_asked_for = {
        "max_mem": 0,
        "arena_extend_strategy": 1,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(as_asked_for))


def _open_runtime(model: bytes, setup: ProviderSetup, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # It would keep a plan of memory for every shape, and shapes vary; runs take as long without.
    options.enable_mem_pattern = setup.device != "cpu"
    # A spinning pool burns the cores that decode the next mammogram.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if setup.device == "cpu":
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    else:
        load_cuda()
        if missing := missing_library(Path(onnxruntime.__file__).parent / "capi", setup.device):
            raise DeviceError(f"{setup.device} does not work here: {missing}")
        # Only valid without the CPU provider in the list: a node that no other takes is an error.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        runtime = onnxruntime.InferenceSession(
            model, options, providers=list(setup.providers), enable_fallback=0
        )
    except Exception as error:
        if NO_THREAD in str(error):
            raise DeviceError(LACK_OF_THREADS, may_pass=True) from error
        if setup.device != "cpu":
            raise DeviceError(f"{setup.device} does not work here: {error}") from error
        raise ContractError(f"not an ONNX model that this runtime opens: {error}") from error
    if runtime.get_providers()[0] != setup.providers[0][0]:
        raise DeviceError(f"{setup.device} does not work here: the runtime chose another provider")
    return runtime


class BareGraph:
    """A graph without a contract on the CPU: for whoever is about to write one.

    Parameters
    ----------
    model
        An ONNX file's bytes, no external data.

    Raises
    ------
    ContractError
        This runtime does not open it.
    """

    def __init__(self, model: bytes) -> None:
        self._runtime = _open_runtime(model, ON_CPU, 1)

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the first output for the one input.

        Raises
        ------
        ContractError
            It does not take this shape.
        """
        (first, *_), (name, *_) = self._runtime.get_inputs(), self._runtime.get_outputs()
        try:
            answer: NDArray[np.float32] = self._runtime.run([name.name], {first.name: values})[0]
        except Exception as error:
            raise ContractError(
                f"the graph does not run on {axes(values.shape)}: {type(error).__name__}"
            ) from error
        return answer
