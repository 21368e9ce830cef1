"""The working image, cut into tiles of the one size that the net takes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.imaging.resample import WorkingImage

GRID = 32
"""Tile origins lie on multiples of this, in pixels: the net's own coarsest cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One input of the net.

    Attributes
    ----------
    row, column
        Origin in the working image, in pixels, multiples of 32.
    pixels
        float32, shape (tile_size, tile_size); 0 (air) where it reaches beyond the working image.
    """

    row: int
    column: int
    pixels: NDArray[np.float32]


def cut(image: WorkingImage, *, tile_size: int, stride: int) -> list[Tile]:
    """Cut the tiles that touch the breast, in row-major order.

    The grid is laid over the breast's own box, so a breast narrower than a tile is one column.

    Parameters
    ----------
    image
        The breast's box at the working spacing.
    tile_size, stride
        Side of a tile and the largest step between two, in pixels, multiples of 32.
    """
    rows, columns = image.pixels.shape
    return [
        Tile(row, column, _window(image.pixels, row, column, tile_size))
        for row in origins(rows, tile_size, stride)
        for column in origins(columns, tile_size, stride)
        if image.breast[row : row + tile_size, column : column + tile_size].any()
    ]


def origins(length: int, tile_size: int, stride: int) -> list[int]:
    """Give the fewest origins on the 32-pixel grid that cover `length` pixels.

    Steps are even, and never longer than `stride`; the last tile may reach beyond `length`.
    """
    beyond = max(0, length - tile_size)
    steps = math.ceil(beyond / stride)
    if steps == 0:
        return [0]
    last = math.ceil(beyond / GRID) * GRID
    return [round(index * last / steps / GRID) * GRID for index in range(steps + 1)]


def _window(
    pixels: NDArray[np.float32], row: int, column: int, tile_size: int
) -> NDArray[np.float32]:
    part = pixels[row : row + tile_size, column : column + tile_size]
    if part.shape == (tile_size, tile_size):
        return np.ascontiguousarray(part)
    window = np.zeros((tile_size, tile_size), np.float32)
    window[: part.shape[0], : part.shape[1]] = part
    return window
