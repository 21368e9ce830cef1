"""The golden tile of a net: the phantom, and what the net says of it."""

import base64

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from model_export.networks import SegmentationNet
from model_export.phantom import breast_phantom
from service.inference.contract import GoldenTile, InputSpec
from service.inference.golden import eighth

TOLERANCE = 2e-3
"""Of probabilities: covers float16 storage and the reduced precision of GPU convolutions."""


def as_input(grey: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Give the net's input, (1, 1, rows, columns), that 8-bit values stand for."""
    values = spec.minimum + grey.astype(np.float32) / np.float32(255.0) * np.float32(
        spec.maximum - spec.minimum
    )
    return values.astype(np.float32)[None, None]


def make_golden(net: SegmentationNet, spec: InputSpec, tile_size: int) -> GoldenTile:
    """Run the phantom through the net in float32 and pack both."""
    grey = breast_phantom(tile_size)
    with torch.no_grad():
        maps = net(torch.from_numpy(as_input(grey, spec)))
    expected = eighth(torch.sigmoid(maps.logits)[0, 0].numpy())
    _, png = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return GoldenTile(
        tile_png=base64.b64encode(png.tobytes()).decode(),
        probability_eighth=base64.b64encode(expected.astype("<f2").tobytes()).decode(),
        has_mask_logit=float(maps.has_mask[0, 0]),
        tolerance=TOLERANCE,
    )
