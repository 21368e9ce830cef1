"""A training run, typed; `config_file` reads it."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from model_export.networks.options import NetworkOptions
from service.imaging.normalise import Normalisation
from service.inference.tiling import GridMultiple

Share = Annotated[int, Field(ge=0)]
HalfWidth = Annotated[float, Field(ge=0.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Factor = Annotated[float, Field(gt=0.0)]

NAME = r"^[a-z0-9][a-z0-9._-]*$"
"""Of a model: what its contract takes, so that no run finds out when it is exported."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Stream(_Part):
    """One kind of batch: `mix` images of each source, as `rows` x `columns` crops.

    A whole stream shows the whole breast, as the service does; otherwise crops are centred on
    lesions, near misses and background.
    """

    rows: GridMultiple
    columns: GridMultiple
    mix: dict[str, Share]
    whole: bool = False

    @model_validator(mode="after")
    def _draws_something(self) -> Self:
        if not self.batch:
            raise ValueError("mix must take an image of some source")
        return self

    @property
    def batch(self) -> int:
        """Tiles a batch."""
        return sum(self.mix.values())


class MaskTerms(_Part):
    """Weights of the terms that make the loss of the mask; a term of weight 0 is left out."""

    bce: float = Field(default=1.0, ge=0.0)
    iou_batch: float = Field(default=1.0, ge=0.0)
    iou_tile: float = Field(default=1.0, ge=0.0)
    dice: float = Field(default=0.0, ge=0.0)
    box_outside: float = Field(default=0.0, ge=0.0)
    """These three terms compare with boxes only, and need targets that are boxes."""
    box_projection: float = Field(default=0.0, ge=0.0)
    box_inside: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any(weight for _, weight in self):
            raise ValueError("at least one term of the mask's loss must weigh more than 0")
        return self


class Phase(_Part):
    """`epochs` epochs whose steps go round the streams in turn."""

    epochs: int = Field(gt=0)
    streams: tuple[Stream, ...] = ()
    """The run's own if empty."""
    mask: MaskTerms | None = None
    """`losses.mask` if None."""
    mine: bool = False
    """Before it begins, the net's false positives on its training images are looked for; from then
    on `sampling.hard` of the crops are centred on them."""


class PosWeight(_Part):
    """How many times a pixel of a lesion counts: changes linearly over the run."""

    start: float = Field(default=3.0, gt=0.0)
    end: float = Field(default=3.0, gt=0.0)

    def at(self, done: float) -> float:
        """Return the weight when a share `done`, 0 to 1, of the steps is done."""
        return self.start + (self.end - self.start) * done


class Losses(_Part):
    """Weights of the terms, and of what is known less well."""

    mask: MaskTerms = MaskTerms()
    pixel_pos_weight: PosWeight = PosWeight()
    """Of the term `bce` alone."""
    cell_pos_weight: float = Field(default=4.0, gt=0.0)
    has_mask: float = Field(default=0.5, ge=0.0)
    cells: float = Field(default=0.3, ge=0.0)
    diffuse_from: float = Field(default=0.3, gt=0.0)
    """Share of the breast from which an outline counts as diffuse."""
    diffuse_weight: float = Field(default=0.4, ge=0.0, le=1.0)
    circle_weight: float = Field(default=1.0, ge=0.0, le=1.0)
    """Weight of a mask that is a circle around the lesion, not its outline."""
    weak_negative: float = Field(default=0.5, ge=0.0, le=1.0)
    """Weight of "no cancer": the breast may still hold a benign lesion."""
    weak_crop: float = Field(default=0.3, ge=0.0, le=1.0)
    """Weight of a whole-image label given to a crop of it."""
    weak_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """How far a whole-image label is moved towards one half: "no cancer" is no certain no."""


class Distillation(_Part):
    """A trained net that the run learns from, beside the masks."""

    teacher: Path
    """Its checkpoint."""
    network: NetworkOptions | None = None
    """What net it is, where it is not of the run's own kind."""
    mask: float = Field(default=1.0, ge=0.0)
    """Weights of what it says of each pixel, of each cell and of the whole crop."""
    cells: float = Field(default=0.5, ge=0.0)
    has_mask: float = Field(default=0.5, ge=0.0)
    moved: bool = False
    """It also sees each crop moved by part of a cell, and answers with the mean."""


class Targets(_Part):
    """What the mask's loss is told of a lesion."""

    shape: Literal["outline", "ellipse", "box"] = "outline"
    """Its outline, or what its box says: the ellipse that fits into it, or the box. Sources that
    give no boxes keep their outlines."""
    rim_mm: float = Field(default=0.0, ge=0.0)
    """Pixels this near to its border, on both sides, are left out: outlines are uncertain there."""


class Sampling(_Part):
    """What the crops of images with masks are centred on."""

    lesion: float = Field(default=0.5, ge=0.0, le=1.0)
    near_miss: float = Field(default=0.25, ge=0.0, le=1.0)
    """The rest is background, or more than the rest where negatives are matched."""
    hard: float = Field(default=0.25, ge=0.0, lt=1.0)
    """Share of the crops that are centred on false positives, once a phase has looked for some."""
    matched_negatives: bool = True
    """Lesion-free crops look as bright, full and large as lesion crops of their source, and only
    such pairs, as many of the one as of the other, teach the has-mask head. If not, background is
    anywhere, and sources without normals teach the head nothing."""
    tolerance: float = Field(default=0.8, gt=0.0)
    """Largest distance between the appearances of a pair, in standard deviations; see
    `matching`."""

    max_lesion_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    """Images whose outlines cover more of the breast than this are left out of training: outlines
    of whole quadrants teach something other than masses."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if not 0.0 < self.lesion + self.near_miss <= 1.0:
            raise ValueError("lesion and near_miss are shares, and one must be above 0")
        return self


class Augmentation(_Part):
    """Ranges are half-widths around no change, unless said otherwise."""

    rotation_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 15.0
    log_scale: HalfWidth = 0.2
    log_gamma: HalfWidth = 0.35
    exposure: tuple[Factor, Factor] = (0.6, 2.1)
    """Least and largest change of contrast before the image was stored and clipped."""
    exposure_probability: Probability = 0.5
    log_contrast: HalfWidth = 0.45
    """After normalisation, as a wrong outline of the breast changes it."""
    brightness: HalfWidth = 0.08
    blur_probability: Probability = 0.2
    noise: HalfWidth = 0.03
    """Largest standard deviation, in units of the net's input."""
    patch_probability: Probability = 0.1
    """Of a bright patch that runs off the border, as skin markers and folds do."""
    film_probability: Probability = 0.05
    """Of scratches, dust or the white edge of a film."""

    @model_validator(mode="after")
    def _least_before_largest(self) -> Self:
        if self.exposure[0] > self.exposure[1]:
            raise ValueError("exposure is the least change of contrast, then the largest")
        return self


class TrainingConfig(_Part):
    """Everything that decides the weights, next to code and data."""

    name: Annotated[str, Field(pattern=NAME)]
    network: NetworkOptions
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    working_mm: float = Field(gt=0.0)
    normalisation: Normalisation = Normalisation()
    streams: tuple[Stream, ...] = ()
    """Of every phase that names none."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    start_from: Path | None = None
    """Another run's checkpoint, whose averaged weights training starts from."""
    train_only: str = ""
    """Regular expression, searched for in the names of parameters; the others are frozen, and so
    are the statistics of batch norms whose own weight is. Everything is trained if it is empty."""
    train_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the training patients; every smaller share is part of every larger one."""
    steps_per_epoch: int = Field(gt=0)
    learning_rate: float = Field(gt=0.0)
    encoder_rate: float = Field(default=1.0, gt=0.0)
    """Of the encoder, in learning rates."""
    weight_decay: float = Field(ge=0.0)
    warm_up: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of all steps."""
    ema_decay: float = Field(default=0.997, ge=0.0, lt=1.0)
    precision: Literal["auto", "bf16-mixed", "32-true", "16-mixed"] = "auto"
    """auto: bfloat16 where the processor has it, single precision elsewhere."""
    threads: int = Field(default=2, gt=0)
    workers: int = Field(default=2, ge=0)
    devices: int | Literal["auto"] = "auto"
    validate_every: int = Field(default=5, gt=0)
    """Epochs between validations."""
    losses: Losses = Losses()
    targets: Targets = Targets()
    distillation: Distillation | None = None
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()

    @field_validator("train_only")
    @classmethod
    def _is_an_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _streams_everywhere(self) -> Self:
        if not self.streams and not all(phase.streams for phase in self.phases):
            raise ValueError("a phase without streams needs streams of the run")
        return self

    @property
    def epochs(self) -> int:
        """Of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def steps(self) -> int:
        """Of all phases."""
        return self.epochs * self.steps_per_epoch

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that some stream draws from."""
        streams = [stream for phase in self.phases for stream in phase.streams or self.streams]
        drawn = {name for stream in streams for name, share in stream.mix.items() if share}
        return tuple(sorted(drawn))

    def phase_of(self, epoch: int) -> Phase:
        """Return the phase an epoch lies in; the last one for what lies beyond."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        return self.phases[-1]

    def mined_in(self, epoch: int) -> int | None:
        """Return the number of the latest phase that has mined by an epoch; None if none has."""
        latest, start = None, 0
        for number, phase in enumerate(self.phases):
            if start <= epoch and phase.mine:
                latest = number
            start += phase.epochs
        return latest

    def streams_of(self, epoch: int) -> tuple[Stream, ...]:
        """Return the streams of an epoch."""
        return self.phase_of(epoch).streams or self.streams

    def mask_terms_of(self, epoch: int) -> MaskTerms:
        """Return the terms of the mask's loss in an epoch."""
        return self.phase_of(epoch).mask or self.losses.mask
