"""What the shipped model must show, and whether it does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from model_export.datasets.names import source_name
from model_export.evaluation.bootstrap import Figure

Verdict = Literal["met", "not met", "reported", "not measured", "trained on it"]

MILD = ("0.67", "1.5")
"""Contrasts at which the answer must stay."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bar for one figure.

    Attributes
    ----------
    text
        What is asked, in words.
    key
        "source/figure".
    bar
        None where the figure is only to be reported.
    at_most
        The figure must not exceed the bar; otherwise it must reach it.
    untrained
        The bar is for models that never trained on the source.
    """

    text: str
    key: str
    bar: float | None = None
    at_most: bool = False
    untrained: bool = False

    def verdict(self, figure: Figure | None, trained_on: Collection[str] = ()) -> Verdict:
        """Compare the value itself with the bar; the interval is for the reader to weigh."""
        if figure is None:
            return "not measured"
        if self.untrained and self.key.rpartition("/")[0] in trained_on:
            return "trained on it"
        if self.bar is None:
            return "reported"
        met = figure.value <= self.bar if self.at_most else figure.value >= self.bar
        return "met" if met else "not met"


@dataclass(frozen=True, slots=True)
class TargetResult:
    """A target with what was found."""

    target: Target
    figure: Figure | None
    verdict: Verdict


CBIS = "cbis-ddsm-800"

CONTRAST_SOURCES = (CBIS, "cdd-cesm", "mini-mias", "rsna-640")


def _contrast_targets() -> list[Target]:
    return [
        Target(
            f"{source_name(source)}: mean change of the score at contrast x{factor}",
            f"{source}/contrast_{factor}_score_change",
            0.03,
            at_most=True,
        )
        for source in CONTRAST_SOURCES
        for factor in MILD
    ]


TARGETS = (
    Target(
        "CBIS-DDSM, official test patients: lesions found at 1 false positive an image",
        f"{CBIS}/lesion_sensitivity_at_1_fp",
        0.75,
    ),
    Target(
        "CBIS-DDSM, official test patients: lesions found at 0.25 false positives an image",
        f"{CBIS}/lesion_sensitivity_at_0.25_fp",
        0.60,
    ),
    Target(
        "mini-MIAS, untrained: lesions found at 1 false positive an image",
        "mini-mias/lesion_sensitivity_at_1_fp",
        0.45,
        untrained=True,
    ),
    Target("RSNA: image AUC", "rsna-640/auc", 0.66),
    Target("RSNA: patient AUC, mean of views", "rsna-640/patient_auc", 0.70),
    Target(
        "CBIS-DDSM, official test patients: sensitivity of the has-mask decision",
        f"{CBIS}/sensitivity",
        0.90,
    ),
    Target("mini-MIAS: specificity of that decision", "mini-mias/specificity"),
    Target("RSNA: specificity of that decision", "rsna-640/specificity"),
    *_contrast_targets(),
    Target("CDD-CESM: lesions found at 1 false positive", "cdd-cesm/lesion_sensitivity_at_1_fp"),
    Target("CDD-CESM: mean Dice, misses as 0, ungated", "cdd-cesm/dice"),
    Target("RSNA: image AUC above the linear probe", "rsna-640/auc_over_probe"),
    Target("CBIS-DDSM, eight views: regions in the mask of an image", "cbis-ddsm-views/marks"),
    Target("CBIS-DDSM, eight views: share said to hold a lesion", "cbis-ddsm-views/yes"),
)
"""Of the project's issue 12; what has no bar there is reported. The leak probe on training tiles
is `model_export audit`'s to report; of the eight views nobody says where the lesions are, so hits
cannot be counted."""


def judge(figures: Mapping[str, Figure], trained_on: Collection[str] = ()) -> list[TargetResult]:
    """Return every target held against the figures.

    Parameters
    ----------
    figures
        By "source/figure".
    trained_on
        Sources of the model's training data: bars for untrained sources do not hold for these.
    """
    return [
        TargetResult(target, figure := figures.get(target.key), target.verdict(figure, trained_on))
        for target in TARGETS
    ]
