"""What finds lesions in tiles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.cancellation import CancelToken
from service.imaging.tiles import Tile
from service.inference.contract import Contract
from service.inference.device import Device


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model runs, where and how.

    Attributes
    ----------
    contract
        What the file says about itself.
    sha256
        Of the file, in hex.
    device
        That is in use.
    provider
        ONNX Runtime's name of the provider that every node runs on.
    runtime
        ONNX Runtime's version.
    setup
        The name of the way it is used.
    whole_pixels
        Up to so many pixels, a breast is one tile of its own shape; 0 where tiles are fixed.
    id
        What callers name it by; see `model_id`.
    """

    contract: Contract
    sha256: str
    device: Device
    provider: str
    runtime: str
    setup: str
    whole_pixels: int
    id: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class TilePrediction:
    """What the net says of one tile.

    Attributes
    ----------
    probability
        float32 in [0, 1], of the tile's shape.
    has_mask_logit
        The tile's has-mask logit.
    activation
        float32, shape (h, w), coarser than the tile: the logits whose pooling is the has-mask
        logit.
    classes
        float32 in [0, 1], shape (K, rows, columns); None where the net tells no classes apart.
    """

    probability: NDArray[np.float32]
    has_mask_logit: float
    activation: NDArray[np.float32]
    classes: NDArray[np.float32] | None = None


RunListener = Callable[[list[float], float], None]
"""Told of each run of the net, on the thread that ran it: how long each of its tiles had waited,
and how long the run took, in seconds."""


class Net(Protocol):
    """Runs tiles; for several threads at once."""

    @property
    def model_info(self) -> ModelInfo:
        """The model, proven on the device."""

    @property
    def waiting(self) -> int:
        """How many tiles wait to be run."""

    @property
    def net_seconds(self) -> float:
        """CPU time inside the net since the start, in seconds."""

    @property
    def failed(self) -> bool:
        """Whether the device failed for good: then nothing is answered any more."""

    def listen(self, listener: RunListener) -> None:
        """Tell somebody of each run from now on."""

    def run(self, tiles: Sequence[Tile], token: CancelToken) -> list[TilePrediction]:
        """Run the tiles of one image and wait for all answers, in the same order.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            The caller left, or its deadline passed; tiles that have not begun are dropped.
        DeviceFailed, Overloaded
            The device is lost, has no memory left, or the service is shutting down.
        """

    def close(self) -> None:
        """Answer what waits, then stop."""
