"""What an ONNX file must say about itself, typed: its `metadata_props`.

The file is the whole configuration of a model. Each field of `Contract` is one property, key
`mammoseg.<field>`, value JSON. A file that lacks one, or says something out of bounds, is refused;
swapping the model is swapping the file.

Version 1 is what this project trains. Version 2 adds what nets of other frameworks need and a graph
cannot say: tiles that are no squares, the whole frame instead of the breast, another blend, the
names of classes, and what the file was proven against.
"""

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from service.errors import ContractError
from service.imaging.mammogram import Intent
from service.imaging.normalise import Normalisation, WholeImage
from service.inference.adopted import Adopted
from service.inference.contract_part import Part
from service.inference.tiling import V2_TILING, Tiling

PREFIX = "mammoseg."
VERSION = 1
ADOPTED_VERSION = 2
TWICE_MAX = 0.7315
"""The sigmoid of 1, and so the most that a sigmoid of a probability can be."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def sigmoid(logit: float | np.floating) -> float:
    """Return the probability of a logit, in double precision."""
    return float(1.0 / (1.0 + np.exp(-np.float64(logit))))


NOT_CHOSEN = "none"
"""What `chosen_by` says until `calibrate` ran."""


class InputSpec(Part):
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


class Spacing(Part):
    """Pixel spacing the net works at, and what an image's long side is taken as if it has none."""

    working_mm: float = Field(gt=0.01, lt=5.0)
    assumed_long_side_mm: float = Field(gt=10.0, lt=1000.0)


class OutputNames(Part):
    """Names of the graph's outputs.

    `probability` (N, 1, H, W) in [0, 1]; `has_mask` (N, 1), a logit; `activation` (N, 1, h, w),
    the map whose pooling is that logit. Of version 2, `classes` (N, K, H, W) in [0, 1].
    """

    probability: str
    has_mask: str
    activation: str
    classes: str | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Every output there is, in the order above."""
        one = (self.probability, self.has_mask, self.activation)
        return one if self.classes is None else (*one, self.classes)


class Score(Part):
    """From tile logits to the image's has-mask score: sigmoid(rule(logits) / temperature)."""

    rule: Literal["max"]
    temperature: float = Field(gt=0.0)


class OperatingPoint(Part):
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


class Provenance(Part):
    """What the weights come from, what may be done with them, and how they did."""

    training_data: tuple[str, ...]
    licence: str
    intended_use: str
    evaluation: dict[str, float | str]


class GoldenTile(Part):
    """A tile with its expected answer, so that a device can prove it computes this net.

    Attributes
    ----------
    tile_png
        Base64 of an 8-bit grey PNG of the largest tile; pixel v stands for the input value
        minimum + v / 255 * (maximum - minimum).
    probability_eighth
        Base64 of little-endian float16, row-major: the expected probability averaged over blocks
        of 8 x 8 pixels; rows and columns left over are not compared.
    has_mask_logit
        The expected logit.
    tolerance
        Largest absolute difference allowed, of the probability and of sigmoid(logit).
    """

    tile_png: str
    probability_eighth: str
    has_mask_logit: float
    tolerance: float = Field(gt=0.0, le=0.05)

    def expected_probability(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the expected probability, float32, shape (rows // 8, columns // 8).

        Parameters
        ----------
        shape
            (rows, columns) of the tile.

        Raises
        ------
        ContractError
            The stored array has another size, or holds no probabilities.
        """
        rows, columns = shape[0] // 8, shape[1] // 8
        values = np.frombuffer(base64.b64decode(self.probability_eighth), dtype="<f2")
        if values.size != rows * columns:
            raise ContractError("golden.probability_eighth does not fit tiling.tile_size")
        # Written so that NaN fails too.
        if not ((values >= 0) & (values <= 1)).all():
            raise ContractError(
                "the golden answer holds values beyond 0 and 1: the graph's output is no "
                "probability (is a sigmoid or softmax missing?)"
            )
        if values.min() >= 0.499 and 0.5 < values.max() <= TWICE_MAX:
            raise ContractError(
                "the golden answer lies between 0.5 and 0.731 everywhere, as the sigmoid of a "
                "sigmoid does: one of the two is too many"
            )
        return values.astype(np.float32).reshape(rows, columns)


class Contract(Part):
    """Everything the service needs to know of a model."""

    contract_version: Literal[1, 2]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    input: InputSpec
    tiling: Tiling
    spacing: Spacing
    normalisation: Normalisation | WholeImage = Field(discriminator="kind")
    accepted_intents: tuple[Intent, ...]
    outputs: OutputNames
    score: Score
    operating_point: OperatingPoint
    provenance: Provenance
    golden: GoldenTile
    adopted: Adopted | None = None

    @model_validator(mode="after")
    def _version_says_enough(self) -> Self:
        """Version 1 says nothing of version 2, and with it a net of ours is a net of ours."""
        if self.contract_version == ADOPTED_VERSION:
            if self.adopted is None:
                raise ValueError(f"{PREFIX}adopted: version 2 is for adopted nets")
            if (self.adopted.channels > 0) != (self.outputs.classes is not None):
                raise ValueError(f"{PREFIX}adopted: channels need an output `classes`")
            if self.tiling.blend_in == "logarithm" and not self.adopted.classes:
                raise ValueError(f"{PREFIX}tiling: logarithms are blended of classes")
            return self
        beyond = {
            "adopted": self.adopted is not None,
            "outputs": self.outputs.classes is not None,
            "normalisation": not isinstance(self.normalisation, Normalisation),
            "tiling": not self.tiling.is_plain,
        }
        for name, is_beyond in beyond.items():
            if is_beyond:
                raise ValueError(f"{PREFIX}{name}: says what needs contract version 2")
        return self

    @property
    def is_unproven(self) -> bool:
        """Whether nobody compared what is served with what the net's own framework answers."""
        return self.adopted is not None and self.adopted.proof == "unproven"

    @property
    def is_uncalibrated(self) -> bool:
        """Whether nobody chose the thresholds."""
        return self.operating_point.chosen_by == NOT_CHOSEN

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX `metadata_props`: one JSON value a field, keys with `PREFIX`."""
        fields = self.model_dump(mode="json")
        if self.contract_version == VERSION:
            # Readers that know version 1 alone take no field of version 2.
            del fields["adopted"], fields["outputs"]["classes"]
            for name in V2_TILING:
                del fields["tiling"][name]
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
