"""Maps of tiles -> one map of the breast, blended with smooth weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.orientation import Turn
from service.imaging.resample import WorkingImage
from service.imaging.tiles import Tile

EDGE_WEIGHT = 1e-3
"""Weight of a tile's outermost pixel: not 0, since at the rim of the box no other tile helps."""

MIN_PROBABILITY = np.float32(1e-30)
"""Of which a logarithm is taken; the logarithm of 0 would forbid what all other tiles say."""


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """Probability of lesion over the breast's box.

    Attributes
    ----------
    probability
        float32 in [0, 1], shape (rows, columns) at the working spacing; 0 outside the breast, but
        of an adopted net.
    box
        The rectangle of the source image that it covers, edge to edge.
    source_shape
        (rows, columns) of the source image.
    classes
        float32 in [0, 1], shape (C, rows, columns): of each class of lesions that the net tells
        apart; None where it tells none.
    """

    probability: NDArray[np.float32]
    box: Box
    source_shape: tuple[int, int]
    classes: NDArray[np.float32] | None = None

    def turned_back(self, turn: Turn) -> "LesionMap":
        """Return the map as the source lies, of one that was made of a turned image."""
        classes = None if self.classes is None else turn.undo(self.classes)
        return replace(self, probability=turn.undo(self.probability), classes=classes)

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


Blend = Literal["hann", "gaussian", "gaussian-floor", "constant"]
"""How a tile's pixels are weighted; see the contract's `Tiling`."""


def stitch(
    image: WorkingImage,
    tiles: Sequence[Tile],
    maps: Sequence[NDArray[np.float32]],
    blend: Blend = "hann",
    *,
    blank: bool = True,
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
    blend
        Another window than Hann's, for nets of other frameworks.
    blank
        Put 0 outside the breast. Other frameworks do not: what they find there is theirs to say,
        and a blanked map would bend theirs at the breast's edge.
    """
    blended = _blended(image.pixels.shape, tiles, maps, blend)
    if blank:
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


def stitch_classes(
    image: WorkingImage,
    tiles: Sequence[Tile],
    maps: Sequence[NDArray[np.float32]],
    *,
    blend: Blend,
    logarithms: bool,
) -> NDArray[np.float32]:
    """Blend the tiles' maps of K classes.

    Parameters
    ----------
    image, tiles, blend
        As of `stitch`.
    maps
        float32 in [0, 1], shape (K, rows, columns) of each tile.
    logarithms
        Average the logarithms and let the K classes sum to 1 again: the softmax of averaged logits.

    Returns
    -------
    float32 in [0, 1], shape (K, rows, columns) of the image; 0 where no tile lies.
    """
    count = maps[0].shape[0] if maps else 0
    blended = np.empty((count, *image.pixels.shape), np.float32)
    for index in range(count):
        own = [one[index] for one in maps]
        if logarithms:
            own = [np.log(np.maximum(one, MIN_PROBABILITY)) for one in own]
        blended[index] = _blended(image.pixels.shape, tiles, own, blend)
    if logarithms and count:
        np.exp(blended, out=blended)
        blended /= np.maximum(blended.sum(axis=0), MIN_PROBABILITY)
        # There no logarithm is 0, of which every class would have its share.
        blended[:, ~_covered(image.pixels.shape, tiles)] = 0.0
    return np.clip(blended, 0.0, 1.0, out=blended)


def _blended(
    shape: tuple[int, ...],
    tiles: Sequence[Tile],
    maps: Sequence[NDArray[np.float32]],
    blend: Blend,
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
        # What of the tile lies in the image; one that is larger than the image begins before it.
        top, left = max(0, -tile.row), max(0, -tile.column)
        bottom = min(probability.shape[0], rows - tile.row)
        right = min(probability.shape[1], columns - tile.column)
        part = np.s_[tile.row + top : tile.row + bottom, tile.column + left : tile.column + right]
        own = np.s_[top:bottom, left:right]
        window = WINDOWS[blend](probability.shape)[own]
        total[part] += window * probability[own]
        weights[part] += window
    np.divide(total, weights, out=total, where=weights > 0)
    return total


def _covered(shape: tuple[int, ...], tiles: Sequence[Tile]) -> NDArray[np.bool_]:
    """Return where tiles lie: bool, of `shape`."""
    covered = np.zeros(shape, np.bool_)
    for tile in tiles:
        rows, columns = tile.pixels.shape
        top, left = max(0, tile.row), max(0, tile.column)
        covered[top : tile.row + rows, left : tile.column + columns] = True
    return covered


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


@lru_cache(maxsize=16)
def gaussian(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a bell of an eighth of each side as its sigma, float32, of a tile's shape; read-only.

    Its highest point is a pixel, the first behind the middle, as in nnU-Net (`compute_gaussian`).
    """
    window = np.outer(*(_bell(side, side // 2) for side in shape)).astype(np.float32)
    window.flags.writeable = False
    return window


@lru_cache(maxsize=16)
def gaussian_floor(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a bell about the very middle that falls no lower than a thousandth; read-only.

    As MONAI has it (`compute_importance_map`).
    """
    bell = np.outer(*(_bell(side, (side - 1) / 2) for side in shape))
    window: NDArray[np.float32] = np.maximum(bell, EDGE_WEIGHT).astype(np.float32)
    window.flags.writeable = False
    return window


def _bell(side: int, middle: float) -> NDArray[np.float64]:
    bell: NDArray[np.float64] = np.exp(-((np.arange(side) - middle) ** 2) / (2 * (side / 8) ** 2))
    return bell


@lru_cache(maxsize=16)
def constant(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return ones, float32, of a tile's shape; read-only."""
    window = np.ones(shape, np.float32)
    window.flags.writeable = False
    return window


WINDOWS: dict[Blend, Callable[[tuple[int, int]], NDArray[np.float32]]] = {
    "hann": hann,
    "gaussian": gaussian,
    "gaussian-floor": gaussian_floor,
    "constant": constant,
}
