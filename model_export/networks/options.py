"""What may be chosen about a net: one model a kind, so that each has only the options it knows."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Upsampling = Literal["nearest", "transposed"]
"""What enlarges up to the tail: a resize and a 3x3 convolution, or a transposed convolution."""

Skips = Literal["none", "plain", "gated"]
"""What the decoder sees of the encoder's finer maps: nothing; a 1x1 squeeze, added; the same, each
pixel first weighed by what the decoder makes of the place (Oktay et al., "Attention U-Net", 2018,
in its cheapest form)."""


Variant = Literal["lite0", "lite1"]
"""Of EfficientNet-Lite."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    head_sees_mask: bool = False
    """The has-mask head reads what the decoder drew, beside the encoder's deepest map."""


class LiteOptions(_Options):
    """EfficientNet-Lite with a small decoder: the default."""

    kind: Literal["lite"] = "lite"
    encoder: Variant = "lite0"
    """lite1 has five blocks more: .77 M parameters and 30 % of work on top."""
    pretrained: bool = True
    """Training starts from ImageNet weights, which a package of the `train` extra holds."""
    skips: Skips = "plain"
    blurred: bool = False
    """Convolutions that halve see their input through a blur: a step of a pixel then moves the
    answer less."""
    head_dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Share of channels that the has-mask head leaves out in a training step."""


class StagedOptions(_Options):
    """What the seed and its smaller copy have in common; the defaults are the source texts' own."""

    last_stage: Literal["dilated", "pooled"] = "dilated"
    """How its second half sees further: by holes in the kernels, or by a sixth halving that is
    undone by a nearest-neighbour resize."""
    upsampling: Upsampling = "nearest"
    block: Literal["plain", "residual", "inception"] = "plain"
    """What the encoder's stages are made of."""
    rotation_max: bool = False
    """The encoder's last convolution takes the best of its kernel's four quarter turns."""
    weight_norm: bool = False
    """Lengths and directions of kernels are learned apart (Salimans & Kingma, 2016)."""

    @model_validator(mode="after")
    def _last_layer_is_one_convolution(self) -> Self:
        if self.rotation_max and self.block != "plain":
            raise ValueError('rotation_max applies to block = "plain" only')
        return self


class SmallOptions(StagedOptions):
    """The seed's topology at half the widths."""

    kind: Literal["small"] = "small"
    skips: Skips = "none"


class SeedOptions(StagedOptions):
    """The literal net of the project's source texts."""

    kind: Literal["seed"] = "seed"


class UnetOptions(_Options):
    """The U-Net that papers compare with."""

    kind: Literal["unet"] = "unet"
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of channels that a training step leaves out, between the convolutions of a size."""


NetworkOptions = Annotated[
    LiteOptions | SmallOptions | SeedOptions | UnetOptions, Field(discriminator="kind")
]
"""As a field of a model, or through `pydantic.TypeAdapter`: `kind` says which it is."""
