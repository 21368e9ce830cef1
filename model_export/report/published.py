"""Published figures beside ours, and whether they may be compared at all.

Only numbers that were read in the source named. None was read on the very images that we report
on, so none is set against ours as if it were.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from model_export.evaluation import Figure

CBIS = "cbis-ddsm-800"

OURS = f"{CBIS}/lesion_sensitivity_at_1_fp"
"""Tells how many images and patients of CBIS-DDSM were ours."""


@dataclass(frozen=True, slots=True)
class Published:
    """One figure of one study.

    Attributes
    ----------
    study
        Who, with what, where.
    metric, value, images
        In the study's own terms; `value` says so where no number was read.
    ours
        Key of the figure of ours that is closest to it.
    comparable, why
        Whether the two may be compared, and what speaks for or against it.
    """

    study: str
    metric: str
    value: str
    images: str
    ours: str
    comparable: bool
    why: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A published figure with ours, None where it was not measured."""

    published: Published
    figure: Figure | None


PUBLISHED = (
    Published(
        study="Cha et al. 2019, Faster R-CNN with ResNet-101 (J. Med. Imaging 7(1), 012703; "
        "PMC6872953)",
        metric="FROC of masses",
        value="curves; no point of them was read",
        images="CBIS-DDSM: 361 mammograms with 378 masses (this very split, as the project's issue "
        "says)",
        ours=OURS,
        comparable=False,
        why="the same kind of figure and the same split, but only a part of these images is at "
        "hand, and neither a number nor the rule for a hit was read",
    ),
    Published(
        study="Abdikenov et al. 2025, one of Cascade R-CNN, YOLOv12, RTMDet and RT-DETR, not said "
        "which (J. Imaging 11(9), 314; abstract)",
        metric="mAP50 of masses",
        value="0.566",
        images="CBIS-DDSM; which images is not in what was read",
        ours=f"{CBIS}/average_precision_50",
        comparable=False,
        why="the same metric, one class, IoU of 0.5; but the test images are not known to be the "
        "same, and a segmentation net is not trained to fit boxes",
    ),
    Published(
        study="Abdikenov et al. 2025, YOLOv12-L (as above)",
        metric="mAP50 of masses",
        value="0.963",
        images="INbreast",
        ours="inbreast/average_precision_50",
        comparable=False,
        why="digital images of another set, which is not among ours unless it is evaluated",
    ),
    Published(
        study="Touazi et al., YOLO v5, v7 and v8 (CEUR-WS Vol-3609, paper 6; abstract)",
        metric="mAP50 of masses",
        value="0.59",
        images="CBIS-DDSM; which images is not in what was read",
        ours=f"{CBIS}/average_precision_50",
        comparable=False,
        why="the same metric; the test images are not known to be the same",
    ),
    Published(
        study="Varlamova et al. 2024, MAMM-Net, two views of a breast at once (arXiv 2404.16718; "
        "a public summary of it)",
        metric="R@0.25: recall at 0.25 false positives an image, as we understand it",
        value="0.816",
        images="DDSM, of which CBIS-DDSM is a part with other outlines",
        ours=f"{CBIS}/lesion_sensitivity_any_view_at_0.25_fp",
        comparable=False,
        why="other test images, and the rule for a hit was not read; what two views add to ours "
        "stands among the figures on lesions",
    ),
    Published(
        study="Varlamova et al. 2024, MAMM-Net (as above)",
        metric="R@1.0, likewise",
        value="0.906",
        images="DDSM, as above",
        ours=f"{CBIS}/lesion_sensitivity_any_view_at_1_fp",
        comparable=False,
        why="as above",
    ),
)


def beside(figures: Mapping[str, Figure]) -> list[Beside]:
    """Return every published figure with ours; none where CBIS-DDSM was not evaluated."""
    if OURS not in figures:
        return []
    return [Beside(one, figures.get(one.ours)) for one in PUBLISHED]
