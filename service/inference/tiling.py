"""How a contract says that a mammogram is cut into tiles, and their maps blended."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.inference.contract_part import Part

GRID = 32
"""The net halves five times: tile sizes, strides and origins are multiples of this, in pixels. A
net of another framework has patches of its own: version 2 does not ask for it."""

MIN_SIDE, MAX_SIDE = 32, 8192
"""Of a tile, in pixels."""

GridMultiple = Annotated[int, Field(gt=0, multiple_of=GRID)]
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]

V2_TILING = ("tile_columns", "stride_columns", "placement", "blend_in")
"""Fields of the tiling that version 1 does not know."""


class Tiling(Part):
    """How a mammogram is cut, in pixels of the working grid, and how the maps are blended.

    Attributes
    ----------
    tile_size
        Side of the largest tile, a square; its rows where `tile_columns` says otherwise.
    tile_columns
        Columns of a tile that is no square (version 2).
    narrower
        Further shapes (rows, columns) of a tile that the graph takes. A breast is seldom half as
        wide as a tile is; where a smaller shape holds it all, that is run.
    whole
        A breast of no more pixels than `whole_tiles` of the largest tile is one tile of its own
        shape, wherever the device takes a new shape at no cost.
    whole_tiles
        How many of the largest tile's pixels that may be.
    stride
        Longest step between two tiles, down; and across, unless `stride_columns` says otherwise.
    stride_columns
        Longest step across (version 2).
    placement
        Where tiles lie. `grid`: on multiples of 32 (version 1). Of version 2, `even`: as far apart
        as each other, the last one flush with the edge (nnU-Net), and `stepped`: `stride` apart,
        the last one moved back to the edge (MONAI).
    blend
        Weight of a tile's pixels where tiles overlap; all but `hann` are of version 2: `gaussian`
        has an eighth of the side as its sigma (nnU-Net), `gaussian-floor` falls no lower than a
        thousandth (MONAI), and `constant` is 1.
    blend_in
        What is averaged: the probabilities, or (version 2) their logarithms, which is as good as
        averaging the logits of a softmax; then `outputs.classes` holds every class.
    receptive_field
        How far a pixel of the output sees.
    """

    tile_size: Side
    tile_columns: Side | None = None
    narrower: tuple[tuple[GridMultiple, GridMultiple], ...] = ()
    whole: bool = False
    whole_tiles: int = Field(default=1, ge=1, le=4)
    stride: int = Field(gt=0)
    stride_columns: int | None = Field(default=None, gt=0)
    placement: Literal["grid", "even", "stepped"] = "grid"
    blend: Literal["hann", "gaussian", "gaussian-floor", "constant"]
    blend_in: Literal["probability", "logarithm"] = "probability"
    receptive_field: int = Field(gt=0)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """(rows, columns) of the largest tile."""
        return self.tile_size, self.tile_columns or self.tile_size

    @property
    def strides(self) -> tuple[int, int]:
        """Longest step between two tiles, (down, across)."""
        return self.stride, self.stride_columns or self.stride

    @property
    def is_plain(self) -> bool:
        """Whether version 1 can say it."""
        return (
            self.tile_columns is None
            and self.stride_columns is None
            and (self.placement, self.blend, self.blend_in) == ("grid", "hann", "probability")
            and self.tile_size % GRID == 0
            and self.stride % GRID == 0
        )

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Every shape (rows, columns) that a tile may have, the smallest area first."""
        shapes = {*self.narrower, self.tile_shape}
        return tuple(sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape)))

    @property
    def whole_pixels(self) -> int:
        """Up to so many pixels of the working grid, a breast may be one tile; 0 where none may."""
        rows, columns = self.tile_shape
        return self.whole_tiles * rows * columns if self.whole else 0

    @model_validator(mode="after")
    def _tiles_overlap(self) -> Self:
        if any(step > side for step, side in zip(self.strides, self.tile_shape, strict=True)):
            raise ValueError("stride must not exceed tile_size")
        if any(max(shape) > self.tile_size for shape in self.narrower):
            raise ValueError("narrower must not exceed tile_size")
        if self.narrower and self.placement != "grid":
            raise ValueError("narrower tiles lie on the grid")
        return self
