"""Maps of tiles -> one map of the breast, blended with smooth weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.resample import WorkingImage
from service.imaging.tiles import Tile

EDGE_WEIGHT = 1e-3
"""Weight of a tile's outermost pixel: not 0, since at the rim of the box no other tile helps."""


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """Probability of lesion over the breast's box.

    Attributes
    ----------
    probability
        float32 in [0, 1], shape (rows, columns) at the working spacing; 0 outside the breast.
    box
        The rectangle of the source image that it covers, edge to edge.
    source_shape
        (rows, columns) of the source image.
    """

    probability: NDArray[np.float32]
    box: Box
    source_shape: tuple[int, int]

    def on_source_grid(self) -> NDArray[np.float32]:
        """Give the probability inside `box` on the source's own pixels, float32, bilinear."""
        resized: NDArray[np.float32] = cv2.resize(
            self.probability, (self.box.columns, self.box.rows), interpolation=cv2.INTER_LINEAR
        )
        return resized


def stitch(
    image: WorkingImage, tiles: Sequence[Tile], maps: Sequence[NDArray[np.float32]]
) -> LesionMap:
    """Blend the tiles' maps: a weighted mean, each tile weighted by a Hann window.

    The net's receptive field is about as large as a tile, so two tiles disagree near their
    borders; there each weighs least.

    Parameters
    ----------
    image
        What the tiles were cut from.
    tiles, maps
        The tiles, and their probabilities: float32, shape (tile_size, tile_size), same order.
    """
    rows, columns = image.pixels.shape
    total = np.zeros((rows, columns), np.float32)
    weights = np.zeros((rows, columns), np.float32)
    for tile, probability in zip(tiles, maps, strict=True):
        window = hann(probability.shape[0])
        side = len(window)
        part = (slice(tile.row, tile.row + side), slice(tile.column, tile.column + side))
        inside = (slice(0, rows - tile.row), slice(0, columns - tile.column))
        total[part] += (window * probability)[inside]
        weights[part] += window[inside]
    np.divide(total, weights, out=total, where=weights > 0)
    total[~image.breast] = 0.0
    return LesionMap(np.clip(total, 0.0, 1.0, out=total), image.box, image.source_shape)


def hann(tile_size: int) -> NDArray[np.float32]:
    """Give the blend window, float32, shape (tile_size, tile_size), in [EDGE_WEIGHT ** 2, 1]."""
    phase = (np.arange(tile_size) + 0.5) / tile_size
    profile = EDGE_WEIGHT + (1 - EDGE_WEIGHT) * np.sin(np.pi * phase) ** 2
    return np.outer(profile, profile).astype(np.float32)
