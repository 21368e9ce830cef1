"""What an ONNX file must say about itself, typed: its `metadata_props`.

The file is the whole configuration of a model. Each field of `Contract` is one property, key
`mammoseg.<field>`, value JSON. A file that lacks one, or says something out of bounds, is refused;
swapping the model is swapping the file.
"""

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import ContractError
from service.imaging.mammogram import Intent
from service.imaging.normalise import Normalisation

PREFIX = "mammoseg."
VERSION = 1
GRID = 32
"""The net halves five times: tile sizes, strides and origins are multiples of this, in pixels."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
GridMultiple = Annotated[int, Field(gt=0, multiple_of=GRID)]


def sigmoid(logit: float | np.floating) -> float:
    """Return the probability of a logit, in double precision."""
    return float(1.0 / (1.0 + np.exp(-np.float64(logit))))


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputSpec(_Part):
    """The one input: shape (N, 1, rows, columns), values within [minimum, maximum].

    Attributes
    ----------
    dtype
        float32 are the values themselves; uint16 are levels, 0 for the minimum and 65535 for the
        maximum, of which the graph makes the values.
    """

    name: str
    dtype: Literal["float32", "uint16"]
    minimum: float
    maximum: float


class Tiling(_Part):
    """How a mammogram is cut, in pixels of the working grid, and how the maps are blended.

    Attributes
    ----------
    tile_size
        Side of the largest tile, a square.
    narrower
        Further shapes (rows, columns) of a tile that the graph takes. A breast is seldom half as
        wide as a tile is; where a smaller shape holds it all, that is run.
    whole
        A breast of no more pixels than `whole_tiles` of the largest tile is one tile of its own
        shape, wherever the device takes a new shape at no cost.
    whole_tiles
        How many of the largest tile's pixels that may be.
    stride
        Longest step between two tiles.
    receptive_field
        How far a pixel of the output sees.
    """

    tile_size: GridMultiple
    narrower: tuple[tuple[GridMultiple, GridMultiple], ...] = ()
    whole: bool = False
    whole_tiles: int = Field(default=1, ge=1, le=4)
    stride: GridMultiple
    blend: Literal["hann"]
    receptive_field: int = Field(gt=0)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Every shape (rows, columns) that a tile may have, the smallest area first."""
        shapes = {*self.narrower, (self.tile_size, self.tile_size)}
        return tuple(sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape)))

    @property
    def whole_pixels(self) -> int:
        """Up to so many pixels of the working grid, a breast may be one tile; 0 where none may."""
        return self.whole_tiles * self.tile_size**2 if self.whole else 0

    @model_validator(mode="after")
    def _tiles_overlap(self) -> Self:
        if self.stride > self.tile_size:
            raise ValueError("stride must not exceed tile_size")
        if any(max(shape) > self.tile_size for shape in self.narrower):
            raise ValueError("narrower must not exceed tile_size")
        return self


class Spacing(_Part):
    """Pixel spacing the net works at, and what an image's long side is taken as if it has none."""

    working_mm: float = Field(gt=0.01, lt=5.0)
    assumed_long_side_mm: float = Field(gt=10.0, lt=1000.0)


class OutputNames(_Part):
    """Names of the graph's outputs.

    `probability` (N, 1, H, W) in [0, 1]; `has_mask` (N, 1), a logit; `activation` (N, 1, h, w),
    the map whose pooling is that logit.
    """

    probability: str
    has_mask: str
    activation: str


class Score(_Part):
    """From tile logits to the image's has-mask score: sigmoid(rule(logits) / temperature)."""

    rule: Literal["max"]
    temperature: float = Field(gt=0.0)


class OperatingPoint(_Part):
    """Thresholds, and how they were chosen. `candidate` is the low one, for regions.

    Attributes
    ----------
    sensitivity
        Share of validation images with lesions that `has_mask` was chosen to find; None where it
        was chosen otherwise.
    """

    has_mask: Probability
    chosen_by: str
    sensitivity: Probability | None = None
    mask: Probability
    candidate: Probability
    minimum_region_mm2: float = Field(ge=0.0)

    def minimum_region_pixels(self, spacing_mm: tuple[float, float]) -> float:
        """Return the smallest area of a selected region in pixels of a spacing (row, column)."""
        return self.minimum_region_mm2 / (spacing_mm[0] * spacing_mm[1])

    @model_validator(mode="after")
    def _candidates_hold_the_mask(self) -> Self:
        if self.candidate > self.mask:
            raise ValueError("candidate must not exceed mask")
        return self


class Provenance(_Part):
    """What the weights come from, what may be done with them, and how they did."""

    training_data: tuple[str, ...]
    licence: str
    intended_use: str
    evaluation: dict[str, float | str]


class GoldenTile(_Part):
    """A tile with its expected answer, so that a device can prove it computes this net.

    Attributes
    ----------
    tile_png
        Base64 of an 8-bit grey PNG of tile_size x tile_size; pixel v stands for the input value
        minimum + v / 255 * (maximum - minimum).
    probability_eighth
        Base64 of little-endian float16, row-major: the expected probability averaged over blocks
        of 8 x 8 pixels.
    has_mask_logit
        The expected logit.
    tolerance
        Largest absolute difference allowed, of the probability and of sigmoid(logit).
    """

    tile_png: str
    probability_eighth: str
    has_mask_logit: float
    tolerance: float = Field(gt=0.0, le=0.05)

    def expected_probability(self, tile_size: int) -> NDArray[np.float32]:
        """Return the expected probability, float32, shape (tile_size // 8, tile_size // 8).

        Raises
        ------
        ContractError
            The stored array has another size.
        """
        side = tile_size // 8
        values = np.frombuffer(base64.b64decode(self.probability_eighth), dtype="<f2")
        if values.size != side * side:
            raise ContractError("golden.probability_eighth does not fit tiling.tile_size")
        return values.astype(np.float32).reshape(side, side)


class Contract(_Part):
    """Everything the service needs to know of a model."""

    contract_version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    input: InputSpec
    tiling: Tiling
    spacing: Spacing
    normalisation: Normalisation
    accepted_intents: tuple[Intent, ...]
    outputs: OutputNames
    score: Score
    operating_point: OperatingPoint
    provenance: Provenance
    golden: GoldenTile

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX `metadata_props`: one JSON value a field, keys with `PREFIX`."""
        fields = self.model_dump(mode="json")
        return {PREFIX + name: json.dumps(value, sort_keys=True) for name, value in fields.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Contract":
        """Read a contract from ONNX `metadata_props`; keys of others are left alone.

        Raises
        ------
        ContractError
            A property is missing, is not JSON, or is out of its bounds; the message names it.
        """
        ours = {key: text for key, text in metadata.items() if key.startswith(PREFIX)}
        fields = {}
        for key, text in ours.items():
            try:
                fields[key.removeprefix(PREFIX)] = json.loads(text)
            except ValueError as error:
                raise ContractError(f"metadata property {key} is not JSON") from error
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            faults = "; ".join(
                f"{PREFIX}{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_url=False)
            )
            raise ContractError(f"the model's contract does not hold: {faults}") from error
