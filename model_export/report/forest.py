"""Figures by stratum, as points with intervals."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_export.datasets.names import source_name
from model_export.evaluation.strata import FEW, Stratum
from model_export.report.canvas import DPI, INK, NET, PANEL, Plot, png

MEASURES = {
    "lesion_sensitivity": "Lesions found",
    "lesion_sensitivity_any_view": "Found in any view",
    "dice": "Dice",
    "dice_pseudo": "Dice (pseudo-outline)",
    "auc": "Image AUC",
}

ROW = 0.21
"""Inches a stratum takes."""


def forests(strata: Sequence[Stratum]) -> list[Plot]:
    """Draw one plot a source."""
    sources = sorted({stratum.source for stratum in strata})
    return [_forest(name, [one for one in strata if one.source == name]) for name in sources]


def _forest(source: str, strata: Sequence[Stratum]) -> Plot:
    measures = [key for key in MEASURES if any(key in one.figures for one in strata)]
    heights = _heights(strata)
    lowest = max(heights) + 1
    canvas = Figure(
        figsize=(2.2 + PANEL * len(measures) * 0.85, 1.0 + ROW * lowest),
        dpi=DPI,
        layout="constrained",
    )
    for index, key in enumerate(measures):
        axes = canvas.add_subplot(1, len(measures), index + 1)
        _draw(axes, strata, heights, key)
        axes.set_yticks(heights, [_label(one) for one in strata] if index == 0 else [])
        axes.set(ylim=(lowest - 0.4, -0.6), xlim=(-0.02, 1.02))
        axes.set_title(MEASURES[key])
    name = source_name(source)
    caption = (
        f"With 95 % intervals, patients resampled; n counts positives, hollow points have under "
        f"{FEW}. Lesions count as found at the score of one false positive an image in the whole "
        "source; other rates stand in figures.json. Dice against pseudo-outlines is no measure of "
        "outlining."
    )
    return Plot(f"strata-{source}", f"Strata of {name}", caption, png(canvas))


def _heights(strata: Sequence[Stratum]) -> list[float]:
    """Place the strata from top to bottom, with a gap between dimensions."""
    heights, at, last = [], 0.0, None
    for stratum in strata:
        if last not in (None, stratum.dimension):
            at += 0.7
        heights.append(at)
        at, last = at + 1.0, stratum.dimension
    return heights


def _label(stratum: Stratum) -> str:
    return f"{stratum.dimension} {stratum.name}  (n = {stratum.positives})"


def _draw(axes: Axes, strata: Sequence[Stratum], heights: Sequence[float], key: str) -> None:
    for stratum, height in zip(strata, heights, strict=True):
        figure = stratum.figures.get(key)
        if figure is None:
            continue
        axes.plot([figure.low, figure.high], [height, height], color=NET, lw=1.4)
        fill = "white" if stratum.is_small else NET
        axes.plot(figure.value, height, "o", ms=5.5, mfc=fill, mec=NET)
    if key == "auc":
        axes.axvline(0.5, color=INK, lw=0.8, ls=":")
