"""What every peer does before and after the net: read, normalise, tile the whole image, stitch.

As a user would write it with pydicom, numpy and OpenCV; it knows of no breast.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray

TILE, STRIDE = 864, 704
WORKING_MM = 0.3
"""As the contract of the shipped net has them; a test holds that."""

LONG_SIDE_MM = 240.0
"""Of an image that states no pixel spacing, as the model's contract has it."""

MAXIMUM = 1.25

Net = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""float32 (N, 1, TILE, TILE) -> probability (N, TILE, TILE) and logits (N,)."""


def read(body: bytes) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the image at the net's spacing and range, and the source's (rows, columns)."""
    dataset = pydicom.dcmread(io.BytesIO(body))
    pixels = dataset.pixel_array
    plain = LONG_SIDE_MM / max(pixels.shape)
    spacing = [float(value) for value in dataset.get("PixelSpacing", (plain, plain))]
    size = (
        round(pixels.shape[1] * spacing[1] / WORKING_MM),
        round(pixels.shape[0] * spacing[0] / WORKING_MM),
    )
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    tissue = small[small > 0.05 * small.max()]
    low, high = np.percentile(tissue, (2, 99))
    return np.clip((small - low) / (high - low), 0, MAXIMUM), pixels.shape


def corners(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the origins of a plain grid over the whole image."""
    starts = []
    for length in shape:
        last = max(0, length - TILE)
        starts.append([*range(0, last, STRIDE), last])
    return [(row, column) for row in starts[0] for column in starts[1]]


def tiles_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the grid: float32, (N, 1, TILE, TILE)."""
    rows, columns = (max(TILE, side) for side in image.shape)
    padded = np.zeros((rows, columns), np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    return np.stack([padded[r : r + TILE, c : c + TILE] for r, c in corners(image.shape)])[:, None]


def stitched(shape: tuple[int, ...], maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the tiles' maps where they overlap."""
    rows, columns = (max(TILE, side) for side in shape)
    total = np.zeros((rows, columns), np.float32)
    weight = np.zeros((rows, columns), np.float32)
    for (row, column), probability in zip(corners(shape), maps, strict=True):
        total[row : row + TILE, column : column + TILE] += probability
        weight[row : row + TILE, column : column + TILE] += 1
    np.divide(total, weight, out=total, where=weight > 0)
    return total[: shape[0], : shape[1]]


def answer(probability: NDArray[np.float32], score: float, shape: tuple[int, ...]) -> Any:
    """Return the JSON document: the score, and the mask on the source's grid as a PNG."""
    full = cv2.resize(probability, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    _, png = cv2.imencode(".png", (full >= 0.5).astype(np.uint8) * 255)
    return {"score": score, "mask": base64.b64encode(png.tobytes()).decode("ascii")}


def segment(body: bytes, net: Net) -> Any:
    """Do all of it."""
    image, shape = read(body)
    probability, logits = net(tiles_of(image))
    score = 1 / (1 + float(np.exp(-logits.max())))
    return answer(stitched(image.shape, probability), score, shape)
