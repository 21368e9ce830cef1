"""Into what tiles an exported net's mammograms are cut: as large on the breast at any spacing."""

import math
from dataclasses import dataclass

from service.inference.tiling import GRID

TILE_MM = 256.0
"""Side of the largest tile: every breast fits into one, or two."""

STRIDE_MM = 204.8
NARROWER_MM = (
    (217.6, 102.4),
    (217.6, 128.0),
    (217.6, 166.4),
    (256.0, 102.4),
    (256.0, 128.0),
    (256.0, 166.4),
)
"""Of the breasts in three sets half are at most 216 mm high and 108 wide: these shapes halve the
work of the largest alone, and more of them would save another twentieth."""


@dataclass(frozen=True, slots=True)
class TileShapes:
    """Of one net's tiles, in pixels of its working grid.

    Attributes
    ----------
    tile_size
        Side of the largest, a square.
    narrower
        Further shapes, (rows, columns).
    stride
        Longest step between two.
    """

    tile_size: int
    narrower: tuple[tuple[int, int], ...]
    stride: int


def tile_shapes(working_mm: float) -> TileShapes:
    """Return the tiles of a net that works at a pixel spacing, in millimetres."""

    def pixels(length_mm: float) -> int:
        # A little less than a whole number of steps is one: 0.3 is no number of a computer's.
        return math.ceil(length_mm / working_mm / GRID - 1e-6) * GRID

    return TileShapes(
        tile_size=pixels(TILE_MM),
        narrower=tuple((pixels(rows), pixels(columns)) for rows, columns in NARROWER_MM),
        stride=pixels(STRIDE_MM),
    )
