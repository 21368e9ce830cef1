"""What every figure is called and what it means, once for all tables."""

from collections.abc import Iterator
from dataclasses import dataclass

from model_export.evaluation.contrast import FACTORS
from model_export.evaluation.figures import SPECIFICITIES
from model_export.evaluation.lesions import FALSE_POSITIVES, GAIN_RATES


@dataclass(frozen=True, slots=True)
class Described:
    """A figure's key (without its source), its name in a table, and what it means.

    `headline` figures go into the contract and the model card.
    """

    key: str
    label: str
    meaning: str = ""
    headline: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that belong together."""

    title: str
    figures: tuple[Described, ...]


def _overlap(ending: str, against: str) -> Iterator[Described]:
    """Describe the overlap with one kind of outline; only people's outlines make headlines."""
    drawn = not ending

    def figure(key: str, label: str, meaning: str = "", headline: bool = False) -> Described:
        return Described(f"{key}{ending}", f"{label}{against}", meaning, headline)

    yield figure("dice", "Dice", "mean over positives, misses as 0, mask ungated", True)
    yield figure("dice_brightest", "Dice of the brightest 15 %", "baseline", drawn)
    yield figure("dice_gain", "Dice above that baseline", "", drawn)
    yield figure(
        "dice_under_5_percent", "Dice, small lesions", "outline under 5 % of the frame", drawn
    )
    yield figure("dice_hits", "Dice over hits", "images whose mask hits a lesion")
    yield figure("dice_gated", "Dice, gated", "mask emptied where the has-mask decision is no")
    yield figure("iou", "IoU", "mean over positives, misses as 0, mask ungated")
    yield figure("iou_hits", "IoU over hits")
    yield figure("iou_gated", "IoU, gated")


OVERLAPS = (
    Group("Outlines drawn by people", tuple(_overlap("", ""))),
    Group(
        "Pseudo-outlines: drawn by a net that was given the box, so no measure of outlining",
        tuple(_overlap("_pseudo", " (pseudo-outline)")),
    ),
    Group("Circles and boxes in place of outlines", tuple(_overlap("_rough", " (circle or box)"))),
)


def _lesions() -> Iterator[Described]:
    hit = "hit: IoU of at least 0.1, or the region's centre inside"
    joined = "lesions of a breast, found when any of its views finds them"
    for rate in FALSE_POSITIVES:
        yield Described(
            f"lesion_sensitivity_at_{rate:g}_fp",
            f"Lesions found at {rate:g} FP an image",
            hit if rate == 1 else "",
            rate in (0.25, 1),
        )
    yield Described("blob_sensitivity_at_1_fp", "Blob detector at 1 FP an image", "baseline", True)
    yield Described("froc_mean", "Mean of the six", "area under the FROC, as it were")
    for rate in FALSE_POSITIVES:
        yield Described(
            f"lesion_sensitivity_any_view_at_{rate:g}_fp",
            f"Found in any view at {rate:g} FP an image",
            joined if rate == 1 else "",
            rate in (0.25, 1),
        )
    for rate in GAIN_RATES:
        yield Described(
            f"any_view_gain_at_{rate:g}_fp",
            f"What several views add at {rate:g} FP an image",
            "found in any view less found in each" if rate == 1 else "",
        )
    for rate in FALSE_POSITIVES:
        yield Described(
            f"lesion_sensitivity_at_{rate:g}_fp_on_normals",
            f"Lesions found at {rate:g} FP a normal",
            "false positives counted on lesion-free images only" if rate == 1 else "",
        )
    yield Described(
        "average_precision_50",
        "Average precision of boxes (mAP50)",
        "at an IoU of 0.5, far stricter than a hit; one class, 101 recalls",
        True,
    )
    yield Described("images_hit", "Positives hit", "share of positives whose mask hits a lesion")
    yield Described(
        "marks_on_negatives", "Regions in the mask of a negative", "mean number, ungated"
    )


def _images() -> Iterator[Described]:
    yield Described("auc", "Image AUC", "", True)
    yield Described("patient_auc", "Patient AUC", "mean score of the views", True)
    yield Described("probe_auc", "AUC of the linear probe", "baseline: brightness and size", True)
    yield Described("auc_over_probe", "Image AUC above the probe", "", True)
    for share in SPECIFICITIES:
        percent = f"{100 * share:.0f}"
        yield Described(
            f"sensitivity_at_{percent}_specificity", f"Sensitivity at {percent} % specificity"
        )
    yield Described("sensitivity", "Sensitivity", "at the has-mask threshold", True)
    yield Described("specificity", "Specificity", "at the has-mask threshold", True)


ACROSS = Group(
    "Across sources: the source itself can be guessed, so this does not show that lesions are seen",
    (
        Described("auc_across", "AUC of the has-mask score", "positives against others' normals"),
        Described(
            "source_guess_auc",
            "AUC of guessing the source",
            "linear model on brightness and size, scored on patients that it was not fitted on",
        ),
    ),
)

CALIBRATION = Group(
    "Calibration",
    (
        Described("ece", "ECE", "15 bins, positives as frequent as in this set"),
        Described("ece_even_odds", "ECE at even odds", "classes weighed alike, as fitted", True),
        Described("brier", "Brier score", "mean squared error of the score"),
    ),
)

HABITS = Group(
    "Habits",
    (
        Described("yes", "Images said to hold a lesion", "share at the has-mask threshold"),
        Described("marks", "Regions in the mask", "mean number an image, ungated"),
        Described("positive_tiles", "Positive tiles", "share of tiles whose own score says yes"),
        Described("mask_share", "Breast in the mask", "share, mean over all images, ungated"),
        Described(
            "correlation_outside",
            "Correlation with the input",
            "of probability with brightness, outside lesions",
        ),
    ),
)


def _contrast() -> Iterator[Described]:
    for factor in FACTORS:
        mild = factor < 2
        yield Described(
            f"contrast_{factor:g}_score_change", f"x{factor:g}: mean change of score", "", mild
        )
        yield Described(f"contrast_{factor:g}_auc_loss", f"x{factor:g}: loss of AUC", "", mild)
        yield Described(f"contrast_{factor:g}_dice_loss", f"x{factor:g}: loss of Dice")
    yield Described(
        "cropped_score_change",
        "Cropped: mean change of score",
        "1.5 mm cut from the top and 2.7 mm from the left",
        headline=True,
    )


GROUPS = (
    Group("Lesions", tuple(_lesions())),
    *OVERLAPS,
    Group("Images", tuple(_images())),
    ACROSS,
    CALIBRATION,
    HABITS,
    Group("Contrast", tuple(_contrast())),
)

DESCRIBED = {figure.key: figure for group in GROUPS for figure in group.figures}
