"""The working image, whole or cut into tiles of the few shapes that are always at hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.imaging.resample import WorkingImage

GRID = 32
"""Tile origins lie on multiples of this, in pixels: the net's own coarsest cell."""

MIN_SIDE = 4 * GRID
"""Of a breast that stays whole, in pixels: nets pool over some cells of their coarsest map, and
have seen no breast of less than 5 cm."""

Shape = tuple[int, int]
"""(rows, columns) of a tile, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One input of the net.

    Attributes
    ----------
    row, column
        Origin in the working image, in pixels, multiples of 32.
    pixels
        float32, of sides that are multiples of 32; 0 (air) where it reaches beyond the working
        image.
    """

    row: int
    column: int
    pixels: NDArray[np.float32]


def cut(
    image: WorkingImage, *, shapes: Sequence[Shape], stride: int, whole_pixels: int = 0
) -> list[Tile]:
    """Cut the tiles that touch the breast, in row-major order.

    The grid is laid over the breast's own box, so a breast narrower than a tile is one column; and
    all tiles have the smallest shape that makes no more rows or columns of them than the largest.
    A breast that may stay whole is one tile, as little larger than its box as the net allows.

    Parameters
    ----------
    image
        The breast's box at the working spacing.
    shapes
        What the net takes, the smallest area first, the largest last.
    stride
        The largest step between two tiles, in pixels, a multiple of 32.
    whole_pixels
        Up to so many pixels, the breast stays whole; 0 where the device knows no shapes but those.
    """
    rows, columns = image.pixels.shape
    whole = (max(MIN_SIDE, _up_to_grid(rows)), max(MIN_SIDE, _up_to_grid(columns)))
    fits = whole[0] * whole[1] <= whole_pixels
    shape = whole if fits else fitting(shapes, (rows, columns))
    return [
        Tile(row, column, _window(image.pixels, row, column, shape))
        for row in origins(rows, shape[0], stride)
        for column in origins(columns, shape[1], stride)
        if image.breast[row : row + shape[0], column : column + shape[1]].any()
    ]


def fitting(shapes: Sequence[Shape], box: Shape) -> Shape:
    """Return the first shape that covers `box` along each side as far as the last shape would."""
    height, width = shapes[-1]
    needed = (min(box[0], height), min(box[1], width))
    return next(shape for shape in shapes if shape[0] >= needed[0] and shape[1] >= needed[1])


def _up_to_grid(length: int) -> int:
    return math.ceil(length / GRID) * GRID


def origins(length: int, side: int, stride: int) -> list[int]:
    """Return the fewest origins on the 32-pixel grid that cover `length` pixels.

    Steps are even, and never longer than `stride`; the last tile may reach beyond `length`.
    """
    beyond = max(0, length - side)
    steps = math.ceil(beyond / stride)
    if steps == 0:
        return [0]
    last = _up_to_grid(beyond)
    return [round(index * last / steps / GRID) * GRID for index in range(steps + 1)]


def _window(
    pixels: NDArray[np.float32], row: int, column: int, shape: Shape
) -> NDArray[np.float32]:
    part = pixels[row : row + shape[0], column : column + shape[1]]
    if part.shape == shape:
        return np.ascontiguousarray(part)
    window = np.zeros(shape, np.float32)
    window[: part.shape[0], : part.shape[1]] = part
    return window
