"""What may be chosen about a net: one model a kind, so that each has only the options it knows."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Skips = Literal["none", "plain", "gated"]
"""What the decoder sees of the encoder's finer maps: nothing; a 1x1 squeeze, added; the same, each
pixel first weighed by what the decoder makes of the place (Oktay et al., "Attention U-Net", 2018,
in its cheapest form)."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LiteOptions(_Options):
    """EfficientNet-Lite0 with a small decoder: the default."""

    kind: Literal["lite"] = "lite"
    pretrained: bool = True
    """Training starts from ImageNet weights, which a package of the `train` extra holds."""
    skips: Skips = "plain"


class SmallOptions(_Options):
    """The seed's topology at half the widths."""

    kind: Literal["small"] = "small"


class SeedOptions(_Options):
    """The literal net of the project's source texts."""

    kind: Literal["seed"] = "seed"


NetworkOptions = Annotated[LiteOptions | SmallOptions | SeedOptions, Field(discriminator="kind")]
"""As a field of a model, or through `pydantic.TypeAdapter`: `kind` says which it is."""
