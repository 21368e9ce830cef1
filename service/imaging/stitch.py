"""Maps of tiles -> one map of the breast, blended with smooth weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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

    def sample(self, area: Box, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the probability over `area` of the source on a grid of `shape`, bilinear.

        Edges of grid and area coincide; beyond `box` its outermost values continue.

        Parameters
        ----------
        area
            A rectangle in source pixels.
        shape
            (rows, columns) of the grid; that of `area` for the source's own pixels.

        Returns
        -------
        float32 in [0, 1], of `shape`.

        Examples
        --------
        A map of one row of two values, over a breast's box of 2 x 4 source pixels, brought to
        those pixels:

        >>> import numpy as np
        >>> from service.imaging.breast import Box
        >>> box = Box(top=0, left=0, bottom=2, right=4)
        >>> half = LesionMap(np.array([[0.0, 1.0]], np.float32), box, source_shape=(2, 4))
        >>> half.sample(box, shape=(2, 4)).tolist()
        [[0.0, 0.25, 0.75, 1.0], [0.0, 0.25, 0.75, 1.0]]
        """
        rows, columns = self.probability.shape
        per_row, per_column = rows / self.box.rows, columns / self.box.columns
        row_step, column_step = area.rows / shape[0], area.columns / shape[1]
        # Maps the centre of grid pixel (x, y) to map pixels: centres lie at whole numbers.
        matrix = np.array(
            [
                [
                    column_step * per_column,
                    0.0,
                    (area.left - self.box.left + column_step / 2) * per_column - 0.5,
                ],
                [
                    0.0,
                    row_step * per_row,
                    (area.top - self.box.top + row_step / 2) * per_row - 0.5,
                ],
            ]
        )
        sampled: NDArray[np.float32] = cv2.warpAffine(
            self.probability,
            matrix,
            (shape[1], shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return sampled


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
        The tiles, and their probabilities: float32, of the tiles' shapes, same order.
    """
    blended = _blended(image.pixels.shape, tiles, maps)
    blended[~image.breast] = 0.0
    return LesionMap(np.clip(blended, 0.0, 1.0, out=blended), image.box, image.source_shape)


def stitch_activation(
    image: WorkingImage,
    tiles: Sequence[Tile],
    logits: Sequence[NDArray[np.float32]],
    *,
    temperature: float,
) -> LesionMap:
    """Blend the tiles' activations, on the grid of the probabilities: see `stitch`.

    Parameters
    ----------
    image, tiles
        As for `stitch`.
    logits
        float32, shape (h, w): coarser than the tiles, edge to edge with them; same order.
    temperature
        Of the has-mask score: sigmoid(logit / temperature) is what is blended.
    """
    maps = []
    for tile, logit in zip(tiles, logits, strict=True):
        rows, columns = tile.pixels.shape
        score = 1.0 / (1.0 + np.exp(np.clip(-logit / np.float32(temperature), -80.0, 80.0)))
        maps.append(cv2.resize(score, (columns, rows), interpolation=cv2.INTER_LINEAR))
    return stitch(image, tiles, maps)


def _blended(
    shape: tuple[int, ...], tiles: Sequence[Tile], maps: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    rows, columns = shape
    if len(tiles) == 1 and (tiles[0].row, tiles[0].column) == (0, 0):
        alone = maps[0][:rows, :columns]
        if alone.shape == shape:
            # A weighted mean of one.
            return alone.copy()
    total = np.zeros((rows, columns), np.float32)
    weights = np.zeros((rows, columns), np.float32)
    for tile, probability in zip(tiles, maps, strict=True):
        height = min(probability.shape[0], rows - tile.row)
        width = min(probability.shape[1], columns - tile.column)
        part = np.s_[tile.row : tile.row + height, tile.column : tile.column + width]
        window = hann(probability.shape)[:height, :width]
        total[part] += window * probability[:height, :width]
        weights[part] += window
    np.divide(total, weights, out=total, where=weights > 0)
    return total


@lru_cache(maxsize=16)
def hann(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the blend window, float32, of a tile's shape, in [EDGE_WEIGHT ** 2, 1]; read-only."""
    profiles = (
        EDGE_WEIGHT + (1 - EDGE_WEIGHT) * np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
        for side in shape
    )
    window: NDArray[np.float32] = np.outer(*profiles).astype(np.float32)
    window.flags.writeable = False
    return window
