"""The working image, whole or cut into tiles of the few shapes that are always at hand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

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
        Origin in the working image, in pixels, multiples of 32; of an adopted net any numbers,
        below 0 where a tile is larger than the image, which then lies in its middle.
    pixels
        float32, of sides that are multiples of 32 (any of an adopted net); 0 (air) where it reaches
        beyond the working image.
    """

    row: int
    column: int
    pixels: NDArray[np.float32]


Placement = Literal["grid", "even", "stepped"]
"""Where tiles lie; see the contract's `Tiling`."""


def cut(
    image: WorkingImage,
    *,
    shapes: Sequence[Shape],
    stride: int | tuple[int, int],
    whole_pixels: int = 0,
    placement: Placement = "grid",
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
        The largest step between two tiles, in pixels, a multiple of 32 on the grid; or one down and
        one across.
    whole_pixels
        Up to so many pixels, the breast stays whole; 0 where the device knows no shapes but those.
    placement
        Where tiles lie.
    """
    rows, columns = image.pixels.shape
    whole = (max(MIN_SIDE, _up_to_grid(rows)), max(MIN_SIDE, _up_to_grid(columns)))
    fits = whole[0] * whole[1] <= whole_pixels
    shape = whole if fits else fitting(shapes, (rows, columns))
    steps = (stride, stride) if isinstance(stride, int) else stride
    placed = origins if fits else PLACEMENTS[placement]
    return [
        Tile(row, column, _window(image.pixels, row, column, shape))
        for row in placed(rows, shape[0], steps[0])
        for column in placed(columns, shape[1], steps[1])
        if image.breast[max(0, row) : row + shape[0], max(0, column) : column + shape[1]].any()
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


def even_origins(length: int, side: int, stride: int) -> list[int]:
    """Return origins as far apart as each other, the last tile flush with the edge.

    As nnU-Net has them (`compute_steps_for_sliding_window`); an image shorter than a tile lies in
    its middle.
    """
    beyond = length - side
    if beyond <= 0:
        return [-((-beyond) // 2)]
    steps = math.ceil(beyond / stride)
    return [round(index * (beyond / steps)) for index in range(steps + 1)]


def stepped_origins(length: int, side: int, stride: int) -> list[int]:
    """Return origins `stride` apart, the last one moved back to the edge.

    As MONAI has them (`dense_patch_slices`); an image shorter than a tile lies in its middle.
    """
    beyond = length - side
    if beyond <= 0:
        return [-((-beyond) // 2)]
    return [min(index * stride, beyond) for index in range(math.ceil(beyond / stride) + 1)]


PLACEMENTS: dict[Placement, Callable[[int, int, int], list[int]]] = {
    "grid": origins,
    "even": even_origins,
    "stepped": stepped_origins,
}


def _window(
    pixels: NDArray[np.float32], row: int, column: int, shape: Shape
) -> NDArray[np.float32]:
    top, left = max(0, -row), max(0, -column)
    part = pixels[row + top : row + shape[0], column + left : column + shape[1]]
    if part.shape == shape:
        return np.ascontiguousarray(part)
    window = np.zeros(shape, np.float32)
    window[top : top + part.shape[0], left : left + part.shape[1]] = part
    return window
