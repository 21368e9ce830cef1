"""What the shipped model must show, and whether it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model_export.datasets.names import source_name
from model_export.evaluation.bootstrap import Figure

Verdict = Literal["met", "not met", "reported", "not measured"]


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
    """

    text: str
    key: str
    bar: float | None = None
    at_most: bool = False

    def verdict(self, figure: Figure | None) -> Verdict:
        """Compare the value itself with the bar; the interval is for the reader to weigh."""
        if figure is None:
            return "not measured"
        if self.bar is None:
            return "reported"
        met = figure.value <= self.bar if self.at_most else figure.value >= self.bar
        return "met" if met else "not met"


@dataclass(frozen=True, slots=True)
class Judged:
    """A target with what was found."""

    target: Target
    figure: Figure | None
    verdict: Verdict


def _contrast_targets() -> list[Target]:
    changes = (
        "mean change of the score",
        "score_change",
        0.03,
        ("cdd-cesm", "mini-mias", "rsna-640"),
    )
    losses = ("loss of image AUC", "auc_loss", 0.02, ("mini-mias", "rsna-640"))
    return [
        Target(
            f"{source_name(source)}: {text} at contrast x{factor}",
            f"{source}/contrast_{factor}_{figure}",
            bar,
            at_most=True,
        )
        for text, figure, bar, sources in (changes, losses)
        for source in sources
        for factor in MILD
    ]


TARGETS = (
    Target("CDD-CESM: mean Dice, misses as 0, ungated", "cdd-cesm/dice", 0.55),
    Target("CDD-CESM: Dice above the brightest 15 %", "cdd-cesm/dice_gain", 0.12),
    Target("CDD-CESM: Dice of lesions under 5 % of the frame", "cdd-cesm/dice_under_5_percent"),
    Target(
        "mini-MIAS: lesions found at 1 false positive an image",
        "mini-mias/lesion_sensitivity_at_1_fp",
        0.45,
    ),
    Target("mini-MIAS: image AUC", "mini-mias/auc"),
    Target("RSNA: image AUC", "rsna-640/auc", 0.66),
    Target("RSNA: image AUC above the linear probe", "rsna-640/auc_over_probe", 0.06),
    Target("RSNA: patient AUC, mean of views", "rsna-640/patient_auc", 0.68),
    Target("CBIS-DDSM, eight views: regions in the mask of an image", "cbis-ddsm-views/marks"),
    Target("CBIS-DDSM, eight views: share said to hold a lesion", "cbis-ddsm-views/yes"),
    *_contrast_targets(),
)
"""Of the project's issue on the model. The leak probe is `model_export audit`'s to report; of the
eight views nobody says where the lesions are, so hits cannot be counted."""


def judge(figures: Mapping[str, Figure]) -> list[Judged]:
    """Hold every target against the figures."""
    return [
        Judged(target, figure := figures.get(target.key), target.verdict(figure))
        for target in TARGETS
    ]
