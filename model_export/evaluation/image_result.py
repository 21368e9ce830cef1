"""What is kept of one evaluated image: enough for every figure, and no pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model_export.detection import NO_BOXES, Detections
from model_export.froc import Candidates
from model_export.metrics import iou


@dataclass(frozen=True, slots=True)
class Lesion:
    """One outlined lesion.

    Attributes
    ----------
    share
        Of the frame.
    diameter_mm
        Of the disc of the same area.
    border_mm
        From its nearest pixel to the border of the breast, the frame's edge included; the breast
        is known to about a millimetre.
    """

    share: float
    diameter_mm: float
    border_mm: float


@dataclass(frozen=True, slots=True)
class OutlineResult:
    """The answer for one image against an outline, or against the statement that none is needed.

    Attributes
    ----------
    candidates, blobs
        The regions of the net, and the blobs of the baseline, matched with the lesions.
    lesions
        In the order of the matches' indices.
    share
        Of the frame that is lesion.
    dice, dice_gated, dice_brightest
        Of the mask, of the mask emptied where the has-mask decision is no, and of the brightest
        15 % of the breast; None for a normal.
    mask_hits
        Whether a region of the mask hits a lesion.
    boxes
        The boxes of the regions against those of the lesions, at an IoU of a half.
    """

    candidates: Candidates
    blobs: Candidates
    lesions: tuple[Lesion, ...] = ()
    share: float = 0.0
    dice: float | None = None
    dice_gated: float | None = None
    dice_brightest: float | None = None
    mask_hits: bool = False
    boxes: Detections = NO_BOXES

    @property
    def iou(self) -> float | None:
        """Of the mask; None for a normal."""
        return None if self.dice is None else iou(self.dice)

    @property
    def iou_gated(self) -> float | None:
        """Of the gated mask; None for a normal."""
        return None if self.dice_gated is None else iou(self.dice_gated)


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image with the service's answer, ungated.

    Attributes
    ----------
    source, patient, name
        As in `Sample`.
    has_lesion
        None where nobody says.
    annotation
        How the truth is known: as in `Sample`, or "none".
    view, laterality, density, manufacturer, pathology
        As in `Sample`; None where the source does not say.
    score, tile_scores
        The has-mask score of the image, and of each tile.
    marks
        The score of every region, and in `selected` how many of them make the mask.
    mask_share
        Of the breast that is in the mask.
    correlation
        Of the probability map with the net's input, outside lesions (Pearson); None where the
        lesions are not outlined.
    brightness
        What the linear probe sees; `probe` is its score, None where it could not be fitted.
    outlined
        None where nobody drew.
    contrast
        By factor: the score and the Dice (None without outline) at another contrast.
    cropped
        The score of the same image with another edge; None where it was not asked.
    """

    source: str
    patient: str
    name: str
    has_lesion: bool | None
    score: float
    annotation: str = "image_label"
    view: str | None = None
    laterality: str | None = None
    density: str | None = None
    manufacturer: str | None = None
    pathology: str | None = None
    tile_scores: tuple[float, ...] = ()
    marks: tuple[float, ...] = ()
    selected: int = 0
    mask_share: float = 0.0
    correlation: float | None = None
    brightness: tuple[float, ...] = ()
    probe: float | None = None
    outlined: OutlineResult | None = None
    contrast: Mapping[float, tuple[float, float | None]] = field(default_factory=dict)
    cropped: float | None = None

    @property
    def breast(self) -> tuple[str, ...]:
        """Which breast is shown: patient and laterality; an image that states none stands alone."""
        if self.laterality is None:
            return (self.source, self.patient, "", self.name)
        return (self.source, self.patient, self.laterality)

    @property
    def dice(self) -> float | None:
        """Of the ungated mask; None where no lesion was drawn."""
        return None if self.outlined is None else self.outlined.dice
