"""What the service found in one mammogram; every output is made from this and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Breast
from service.imaging.frames import FRAME_OF_SEVERAL
from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.regions import Region, find_regions, mask_of
from service.imaging.stitch import LesionMap
from service.inference.adopted import LesionClass
from service.inference.contract import Contract, OperatingPoint, sigmoid

SCORE_DIGITS = 6
"""Decimals of a score."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model answered.

    Attributes
    ----------
    sha256
        Of the ONNX file, in hex.
    unproven
        What is served was never compared with what the net's own framework answers.
    classes
        The classes of lesions that it tells apart.
    id
        What callers name it by, of several; see `service.inference.model_file.model_id`.
    """

    name: str
    version: str
    sha256: str
    unproven: bool = False
    classes: tuple[LesionClass, ...] = ()
    id: str = ""

    @classmethod
    def of(cls, contract: Contract, sha256: str, id: str = "") -> "ModelIdentity":
        """Name the model of a contract."""
        classes = contract.adopted.classes if contract.adopted is not None else ()
        return cls(contract.name, contract.version, sha256, contract.is_unproven, classes, id)


@dataclass(frozen=True, slots=True)
class HasMask:
    """Is an annotated or suspicious lesion present, benign or malignant?

    Attributes
    ----------
    score
        Of the image, in [0, 1]; `decision` is `score >= threshold`.
    threshold
        The contract's.
    sensitivity
        Share of validation images with lesions that the threshold was chosen to find; None where
        it was chosen otherwise.
    tile_scores
        Of each tile alone, at the same temperature, in the order of the tiles.
    """

    score: float
    threshold: float
    tile_scores: tuple[float, ...] = ()
    sensitivity: float | None = None

    @property
    def decision(self) -> bool:
        """True where the score reaches the threshold."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The answer for one image.

    Attributes
    ----------
    model
        Which model answered.
    mammogram
        The image as it was judged; `pixel_spacing_mm` is None when it had to be assumed.
    has_mask
        The image's score against the contract's threshold.
    lesion_map
        Probability of lesion at the working spacing.
    regions
        Every candidate, the most probable first, gated or not.
    mask
        bool, shape (rows, columns) of the source: the selected regions; empty when `gated`.
    gated
        True when the mask was emptied because the has-mask decision is no.
    breast_pixels
        Area of the breast region in source pixels.
    caveats
        Everything that was assumed, from reading on.
    timing_ms
        Milliseconds by stage.
    minimum_region_pixels
        Smallest area of a region of the mask, in source pixels.
    activation_map
        Where the has-mask score comes from, on the lesion map's grid: sigmoid of the activation at
        the contract's temperature; None where `SegmentOptions.activation` did not ask for it.
    picture
        uint16, shape (rows, columns) of the source: the image as it is shown, in all the detail
        that `SegmentOptions.picture_side` asked for; the mammogram's own pixels when None.
    """

    model: ModelIdentity
    mammogram: Mammogram
    has_mask: HasMask
    lesion_map: LesionMap
    regions: tuple[Region, ...]
    mask: NDArray[np.bool_]
    gated: bool
    breast_pixels: float
    caveats: tuple[Caveat, ...]
    timing_ms: dict[str, float]
    minimum_region_pixels: float = 0.0
    activation_map: LesionMap | None = None
    picture: NDArray[np.uint16] | None = None

    @property
    def shown(self) -> NDArray[np.uint16]:
        """The image for pictures: uint16, shape (rows, columns) of the source."""
        return self.mammogram.pixels if self.picture is None else self.picture

    @property
    def frame(self) -> int | None:
        """Number of the frame of a multi-frame object, from 1 on; None for a single image."""
        return self.mammogram.frame if FRAME_OF_SEVERAL in self.caveats else None


def image_score(logits: Sequence[float], contract: Contract) -> HasMask:
    """Combine the tiles' logits by the contract's rule; no tile at all scores 0."""
    point = contract.operating_point
    scores = tuple(sigmoid(logit / contract.score.temperature) for logit in logits)
    # The decision is made by the number that is said.
    score = round(max(scores, default=0.0), SCORE_DIGITS)
    return HasMask(score, point.has_mask, scores, point.sensitivity)


def regions_and_mask(
    lesion_map: LesionMap, point: OperatingPoint, spacing_mm: tuple[float, float]
) -> tuple[list[Region], NDArray[np.bool_]]:
    """Find the regions, and the mask of the selected ones, before any gate.

    Parameters
    ----------
    lesion_map
        The breast's probabilities.
    point
        The contract's thresholds.
    spacing_mm
        Millimetres between the source's (row, column) centres, known or assumed.

    Returns
    -------
    regions
        Every candidate, the most probable first.
    mask
        bool, shape (rows, columns) of the source: true on the selected regions.
    """
    regions = find_regions(
        lesion_map,
        mask_threshold=point.mask,
        candidate_threshold=point.candidate,
        minimum_pixels=point.minimum_region_pixels(spacing_mm),
    )
    return regions, mask_of(regions, lesion_map.source_shape)


UNPROVEN = Caveat(
    "unproven",
    "The model was adopted from another framework, and what is served was never compared with what "
    "that framework answers: masks may be wrong. Adopt it again with --expected.",
)
UNCALIBRATED = Caveat(
    "threshold-uncalibrated",
    "Nobody chose this model's thresholds on images of known truth: score, decision and mask show "
    "an order, no probability. Run `calibrate` on the model.",
)


def model_caveats(contract: Contract) -> tuple[Caveat, ...]:
    """Say what every answer of a model must be read with."""
    said = ((contract.is_unproven, UNPROVEN), (contract.is_uncalibrated, UNCALIBRATED))
    return tuple(caveat for holds, caveat in said if holds)


def label_of(region: Region, model: ModelIdentity) -> LesionClass | None:
    """Return the class of a region; None where the model tells none apart."""
    return None if region.label is None else model.classes[region.label]


MAX_SATURATED = 0.05
"""Of the breast. Of 159 images of the four sets that the model was evaluated on, none has as much;
with half as much contrast again, half of the films have (docs/training.md)."""

LIKE_A_BREAST = 0.5
"""Share of the breast from which on another piece that stands out may be one, too. Labels and film
edges of some 850 real images have .41 at most."""

SEVERAL = Caveat(
    "several-breasts",
    "Another part of the image is as large as a breast and was not searched: send one breast an "
    "image.",
)
NOT_FOUND = Caveat("breast-not-found", "No breast stood out; the whole frame was searched.")
SATURATED = Caveat(
    "breast-saturated",
    "Over a twentieth of the breast has the brightest value there is: what it showed is lost, and "
    "score and mask may be wrong.",
)


def breast_caveats(breast: Breast, saturated: float) -> tuple[Caveat, ...]:
    """Say what may be wrong with the breast as it was seen.

    Parameters
    ----------
    breast
        The region; where none was found, the whole frame stands in for it.
    saturated
        Share of it, in [0, 1], that has the brightest value there is.
    """
    if not breast.found:
        return (NOT_FOUND,)
    several = (SEVERAL,) if breast.next_largest >= LIKE_A_BREAST else ()
    return (*several, SATURATED) if saturated > MAX_SATURATED else several
