"""The only file that imports onnxruntime: an ONNX file opened on exactly the device asked for."""

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ContractError, DeviceError
from service.inference.batching import BATCH_SIZES
from service.inference.binding import BoundRuns
from service.inference.contract import Contract
from service.inference.levels import quantize_into
from service.inference.libraries import missing_library
from service.inference.model_file import read_model
from service.inference.pinned import driver, page_locked
from service.inference.provider_setup import ON_CPU, ProviderSetup
from service.inference.runtime_build import RuntimeBuild, installed_packages, parse_version

# Since 1.29 the official Linux packages report each session to their maker, from import on.
# A hospital's machine reports to nobody: this must be set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

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


KINDS = {"float32": "tensor(float)", "uint16": "tensor(uint16)"}
"""What the runtime calls an input of each type that a contract may name."""


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
    """

    probability: NDArray[np.float32]
    has_mask: NDArray[np.float32]
    activation: NDArray[np.float32]


class Session:
    """A model on a device. On a CPU, `run` may be called from several threads at once.

    Use `Session.open`; attributes: `contract`, `sha256` (of the file, hex), `setup`, `device`.
    """

    def __init__(
        self, runtime: Any, contract: Contract, sha256: str, setup: ProviderSetup, threads: int
    ) -> None:
        self._runtime = runtime
        self.contract = contract
        self.sha256 = sha256
        self.setup = setup
        self.device = setup.device
        self.threads = threads
        names = contract.outputs
        self._outputs = [names.probability, names.has_mask, names.activation]
        self._kind = np.dtype(contract.input.dtype)
        self._bound = None if self.device == "cpu" else self._bind()

    @property
    def whole_pixels(self) -> int:
        """Up to so many pixels, a breast is one tile of its own shape; 0 where tiles are fixed.

        The contract bounds them, and so the memory of a run. A GPU lays out memory and chooses
        kernels for each new shape, a CPU does neither.
        """
        return self.contract.tiling.whole_pixels if self.device == "cpu" else 0

    @classmethod
    def open(cls, path: Path, *, setup: ProviderSetup = ON_CPU, threads: int = 1) -> "Session":
        """Open an ONNX file.

        Parameters
        ----------
        path
            One file, no external data.
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
        model = read_model(path)
        runtime = _open_runtime(model, setup, threads)
        contract = Contract.from_metadata(runtime.get_modelmeta().custom_metadata_map)
        _check_graph(runtime, contract)
        return cls(runtime, contract, hashlib.sha256(model).hexdigest(), setup, threads)

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
        probability, has_mask, activation = outputs
        return TileOutputs(probability[:, 0], has_mask[:, 0], activation[:, 0])

    def _bind(self) -> BoundRuns:
        largest = BATCH_SIZES[self.device][-1] * self.contract.tiling.tile_size**2
        return BoundRuns(
            self._runtime,
            onnxruntime,
            [self.contract.input.name, *self._outputs],
            page_locked(largest, self._kind, driver()),
            device="cuda",
            graph=self.setup.graph,
        )


def _open_runtime(model: bytes, setup: ProviderSetup, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # It would keep a plan of memory for every shape, and shapes vary; runs take as long without.
    options.enable_mem_pattern = setup.device != "cpu"
    # A spinning pool burns the cores that decode the next mammogram.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if setup.device != "cpu":
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
        if setup.device != "cpu":
            raise DeviceError(f"{setup.device} does not work here: {error}") from error
        raise ContractError(f"not an ONNX model that this runtime opens: {error}") from error
    if runtime.get_providers()[0] != setup.providers[0][0]:
        raise DeviceError(f"{setup.device} does not work here: the runtime chose another provider")
    return runtime


def _check_graph(runtime: Any, contract: Contract) -> None:
    size = contract.tiling.tile_size
    (tile,) = runtime.get_inputs()
    # A side is a number where the graph takes no other, else the name of a free one.
    sides = [size if isinstance(side, str) else side for side in tile.shape[2:]]
    free = all(isinstance(side, str) for side in tile.shape[2:])
    if (
        tile.name != contract.input.name
        or tile.type != KINDS[contract.input.dtype]
        or [tile.shape[1], *sides] != [1, size, size]
        or ((contract.tiling.narrower or contract.tiling.whole) and not free)
    ):
        raise ContractError("the graph's input is not the one that the contract names")
    outputs = {output.name for output in runtime.get_outputs()}
    missing = set(contract.outputs.model_dump().values()) - outputs
    if missing:
        raise ContractError(f"the graph lacks the outputs {sorted(missing)}")
