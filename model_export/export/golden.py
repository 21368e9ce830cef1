"""The golden tile of a net: the phantom, and what the net says of it."""

import base64
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from model_export.networks import SegmentationNet
from model_export.phantom import breast_phantom
from service.inference.contract import GoldenTile, InputSpec
from service.inference.golden import eighth
from service.inference.session import TileOutputs

TOLERANCE = 2e-3
"""Of probabilities: covers float16 storage and the reduced precision of GPU convolutions."""


def as_input(grey: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Return the input that uint8 grey stands for: float32, (1, 1, rows, columns)."""
    values = spec.minimum + grey.astype(np.float32) / np.float32(255.0) * np.float32(
        spec.maximum - spec.minimum
    )
    return values.astype(np.float32)[None, None]


def make_golden(net: SegmentationNet, spec: InputSpec, tile_size: int) -> GoldenTile:
    """Run the phantom through the net in float32 and pack both."""

    @torch.no_grad()
    def answer(tile: NDArray[np.float32]) -> TileOutputs:
        maps = net(torch.from_numpy(tile))
        values = (torch.sigmoid(maps.logits)[:, 0], maps.has_mask[:, 0], maps.activation[:, 0])
        return TileOutputs(*(one.numpy() for one in values))

    return golden_of(spec, tile_size, answer)


def golden_of(
    spec: InputSpec, tile_size: int, answer: Callable[[NDArray[np.float32]], TileOutputs]
) -> GoldenTile:
    """Ask about the phantom and pack it with the answer."""
    grey = breast_phantom(tile_size)
    outputs = answer(as_input(grey, spec))
    expected = eighth(outputs.probability[0])
    _, png = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return GoldenTile(
        tile_png=base64.b64encode(png.tobytes()).decode(),
        probability_eighth=base64.b64encode(expected.astype("<f2").tobytes()).decode(),
        has_mask_logit=float(outputs.has_mask[0]),
        tolerance=TOLERANCE,
    )
