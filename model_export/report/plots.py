"""The plots of a report: which there are, and what their captions say."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from model_export.datasets.names import source_name
from model_export.evaluation import Evaluation, ImageResult
from model_export.evaluation.choices import (
    by_source,
    has_both_classes,
    told_of,
    with_lesions,
)
from model_export.evaluation.contrast import FACTORS
from model_export.metrics import auc
from model_export.report import panels
from model_export.report.canvas import QUIET, SERIES, Plot, png, row_of_panels, style
from model_export.report.forest import forests
from model_export.report.known_by import known_by

Sources = Mapping[str, list[ImageResult]]

STEADY = 0.03
"""Mean change of the score that is allowed from x0.67 to x1.5."""


def plots(evaluation: Evaluation) -> list[Plot]:
    """Draw everything that the evaluated images can show."""
    sources = by_source(evaluation.images)
    drawn = {name: kept for name, own in sources.items() if (kept := with_lesions(own))}
    both = {name: own for name, own in sources.items() if has_both_classes(own)}
    told = {name: kept for name, own in sources.items() if (kept := told_of(own))}
    threshold = evaluation.contract.operating_point.has_mask
    with style():
        made = [
            _froc({name: sources[name] for name in drawn}),
            _roc(both),
            _scores(told, threshold),
            _reliability(both),
            _dice(drawn),
            _contrast(sources),
            *forests(evaluation.strata),
        ]
    return [plot for plot in made if plot is not None]


def _froc(sources: Sources) -> Plot | None:
    return _panels(
        "froc",
        "Lesions found against false positives",
        "FROC with its 95 % band (patients resampled), beside the blob detector. A hit has an IoU "
        "of at least 0.1, or its centre inside the lesion.",
        sources,
        panels.froc,
        _with_kinds,
    )


def _roc(sources: Sources) -> Plot | None:
    return _panels(
        "roc",
        "Images told apart",
        "ROC of the has-mask score with its 95 % band, beside a linear model on brightness and "
        "size that was fitted on the same source's training patients, or, where the source never "
        "trained, on its other patients.",
        sources,
        panels.roc,
    )


def _scores(sources: Sources, threshold: float) -> Plot | None:
    return _panels(
        "scores",
        "Has-mask scores",
        "How the scores of each class are spread; the dashed line is the has-mask threshold.",
        sources,
        lambda axes, images: panels.scores(axes, images, threshold),
    )


def _reliability(sources: Sources) -> Plot | None:
    return _panels(
        "reliability",
        "Calibration",
        "Share of positives against the score, at even odds as the temperature was fitted; the "
        "larger a point, the more images. Calibrated scores lie on the diagonal.",
        sources,
        panels.reliability,
    )


def _dice(sources: Sources) -> Plot | None:
    return _panels(
        "dice",
        "Dice of every positive image",
        "Sorted, misses as 0, mask ungated, beside the brightest 15 % of the breast. Dice "
        "against pseudo-outlines, circles or boxes is no measure of outlining.",
        sources,
        panels.dice,
        _with_kinds,
    )


def _with_kinds(source: str, images: list[ImageResult]) -> str:
    """Return a title that says what the lesions are known by."""
    return f"{source_name(source)}\n{known_by(images)[source]}"


def _panels(
    name: str,
    title: str,
    caption: str,
    sources: Sources,
    draw: Callable[[Axes, list[ImageResult]], None],
    title_of: Callable[[str, list[ImageResult]], str] | None = None,
) -> Plot | None:
    """Draw one panel a source, under its name unless titled otherwise; None without sources."""
    if not sources:
        return None
    canvas, all_axes = row_of_panels(len(sources))
    for axes, (source, own) in zip(all_axes, sources.items(), strict=True):
        draw(axes, own)
        axes.set_title(source_name(source) if title_of is None else title_of(source, own))
    return Plot(name, title, caption, png(canvas))


def _contrast(sources: Sources) -> Plot | None:
    tried = {
        name: kept
        for name, own in sources.items()
        if (kept := [image for image in own if image.contrast])
    }
    if not tried:
        return None
    factors = sorted({1.0, *FACTORS})
    canvas, (change, area, overlap) = row_of_panels(3)
    for index, (source, own) in enumerate(tried.items()):
        curves = [(change, [_change_at(own, factor) for factor in factors])]
        if has_both_classes(own):
            curves.append((area, [_auc_at(own, factor) for factor in factors]))
        if kept := with_lesions(own):
            curves.append((overlap, [_dice_at(kept, factor) for factor in factors]))
        for axes, values in curves:
            colour = SERIES[index % len(SERIES)]
            label = _with_kinds(source, kept) if axes is overlap else source_name(source)
            axes.plot(factors, values, color=colour, label=label, marker="o")
    change.axhline(STEADY, color=QUIET, lw=0.8, ls="--")
    for axes, title, limits in (
        (change, "Mean change of score", (0.0, None)),
        (area, "Image AUC", (0.4, 1.0)),
        (overlap, "Dice", (0.0, 1.0)),
    ):
        axes.set_xscale("log")
        axes.set_xticks(factors, [f"x{factor:g}" for factor in factors])
        axes.minorticks_off()
        axes.set_title(title)
        axes.set(xlabel="contrast", ylim=limits)
        if axes.lines:
            axes.legend(loc="best")
    caption = (
        "The same images at other contrasts, stretched about the mean of the whole image. The "
        f"dashed line is the change of {STEADY:g} that is allowed from x0.67 to x1.5."
    )
    return Plot("contrast", "Contrast", caption, png(canvas))


def _at(image: ImageResult, factor: float) -> tuple[float, float | None]:
    return (image.score, image.dice) if factor == 1.0 else image.contrast[factor]


def _change_at(images: Sequence[ImageResult], factor: float) -> float:
    return float(np.mean([abs(_at(image, factor)[0] - image.score) for image in images]))


def _auc_at(images: Sequence[ImageResult], factor: float) -> float:
    told = told_of(images)
    scores = [_at(image, factor)[0] for image in told]
    return auc(scores, [bool(image.has_lesion) for image in told])


def _dice_at(images: Sequence[ImageResult], factor: float) -> float:
    return float(np.mean([_at(image, factor)[1] or 0.0 for image in images]))
