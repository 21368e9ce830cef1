"""The only file that imports onnxruntime: an ONNX file opened on exactly the device asked for."""

import ctypes
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ContractError, DeviceError
from service.inference.contract import Contract
from service.inference.device import Device

# Since 1.29 the official Linux packages report each session to their maker, from import on.
# A hospital's machine reports to nobody: this must be set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

DRIVER_LIBRARIES = {"libcuda.so.1", "libnvidia-ml.so.1"}
"""No package brings these: they belong to the host, and a container is given them."""

PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


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
    """A model on a device. `run` may be called from several threads at once.

    Use `Session.open`; attributes: `contract`, `sha256` (of the file, hex), `device`.
    """

    def __init__(
        self, runtime: Any, contract: Contract, sha256: str, device: Device, threads: int
    ) -> None:
        self._runtime = runtime
        self.contract = contract
        self.sha256 = sha256
        self.device = device
        self.threads = threads

    @property
    def whole_pixels(self) -> int:
        """Up to so many pixels, a breast is one tile of its own shape; 0 where tiles are fixed.

        No more than the largest tile has, so that the memory of a run stays bounded. A GPU lays
        out memory and chooses kernels for each new shape, a CPU does neither.
        """
        return self.contract.tiling.whole_pixels if self.device == "cpu" else 0

    @classmethod
    def open(cls, path: Path, *, device: Device = "cpu", threads: int = 1) -> "Session":
        """Open an ONNX file.

        Parameters
        ----------
        path
            One file, no external data.
        device
            Where every node of the graph runs.
        threads
            CPU threads inside one run.

        Raises
        ------
        ContractError
            The file is not there, is no ONNX model, or its contract does not hold.
        DeviceError
            The device does not work; the message names what is missing.
        """
        try:
            model = path.read_bytes()
        except OSError as error:
            raise ContractError(f"cannot read the model file {path}: {error.strerror}") from error
        runtime = _open_runtime(model, device, threads)
        contract = Contract.from_metadata(runtime.get_modelmeta().custom_metadata_map)
        _check_graph(runtime, contract)
        return cls(runtime, contract, hashlib.sha256(model).hexdigest(), device, threads)

    def run(self, tiles: NDArray[np.float32]) -> TileOutputs:
        """Run the net on float32 tiles of shape (N, 1, rows, columns), one of the contract's."""
        names = self.contract.outputs
        probability, has_mask, activation = self._runtime.run(
            [names.probability, names.has_mask, names.activation], {self.contract.input.name: tiles}
        )
        return TileOutputs(probability[:, 0], has_mask[:, 0], activation[:, 0])


def _open_runtime(model: bytes, device: Device, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # It would keep a plan of memory for every shape, and shapes vary; runs take as long without.
    options.enable_mem_pattern = device != "cpu"
    # A spinning pool burns the cores that decode the next mammogram.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "cuda":
        onnxruntime.preload_dlls()
        if missing := missing_library():
            raise DeviceError(f"CUDA does not work here: {missing}")
        # Only valid without the CPU provider in the list: a node that CUDA cannot take is an error.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        runtime = onnxruntime.InferenceSession(
            model, options, providers=[PROVIDERS[device]], enable_fallback=0
        )
    except Exception as error:
        if device == "cuda":
            raise DeviceError(f"CUDA does not work here: {error}") from error
        raise ContractError(f"not an ONNX model that this runtime opens: {error}") from error
    if runtime.get_providers()[0] != PROVIDERS[device]:
        raise DeviceError(f"{device} does not work here: the runtime chose another provider")
    return runtime


def _check_graph(runtime: Any, contract: Contract) -> None:
    size = contract.tiling.tile_size
    (tile,) = runtime.get_inputs()
    # A side is a number where the graph takes no other, else the name of a free one.
    sides = [size if isinstance(side, str) else side for side in tile.shape[2:]]
    free = all(isinstance(side, str) for side in tile.shape[2:])
    if (
        tile.name != contract.input.name
        or [tile.shape[1], *sides] != [1, size, size]
        or ((contract.tiling.narrower or contract.tiling.whole) and not free)
    ):
        raise ContractError("the graph's input is not the one that the contract names")
    outputs = {output.name for output in runtime.get_outputs()}
    missing = set(contract.outputs.model_dump().values()) - outputs
    if missing:
        raise ContractError(f"the graph lacks the outputs {sorted(missing)}")


def missing_library() -> str | None:
    """Name the shared library that keeps the CUDA provider from loading, or None if it loads."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    windows = sys.platform == "win32"
    names = [
        f"onnxruntime_providers_{part}.dll" if windows else f"libonnxruntime_providers_{part}.so"
        for part in ("shared", "cuda")
    ]
    for name in names:
        if not (folder / name).exists():
            return "this onnxruntime is the CPU build; install the extra `cuda` instead"
        try:
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            found = re.match(r"([\w.+-]+): cannot open shared object", str(error))
            if found and found[1] in DRIVER_LIBRARIES:
                return f"the NVIDIA driver's {found[1]} is not visible to this process"
            if found:
                return f"the library {found[1]} is missing; install the extra `cuda`"
            return f"the library {name} does not load"
    return None
