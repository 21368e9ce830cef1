"""What one source looks like on one pair of axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from model_export.evaluation import ImageResult
from model_export.evaluation.bootstrap import resamples
from model_export.evaluation.choices import outlined, scores_and_labels, searched_of, told_of
from model_export.evaluation.figures import even_odds
from model_export.evaluation.lesions import FALSE_POSITIVES
from model_export.froc import Froc
from model_export.report.canvas import ALARM, BASELINE, INK, NET, QUIET

MAX_FALSE_POSITIVES = 8.0

BINS = 10
"""Of the reliability plot: enough for a few hundred images; the ECE has its own 15."""


def froc(axes: Axes, images: Sequence[ImageResult]) -> None:
    """Draw the share of lesions found against false positives an image."""
    searched = searched_of(images)
    rates = np.geomspace(FALSE_POSITIVES[0], MAX_FALSE_POSITIVES, 97).tolist()
    once = np.ones((1, len(searched)))
    net = Froc([outlined(image).candidates for image in searched])
    blobs = Froc([outlined(image).blobs for image in searched])
    drawn = np.vstack([net.sensitivities(weights, rates) for weights in resamples(searched)])
    _band(axes, rates, drawn, step="post")
    for curve, colour, label in ((net, NET, "net"), (blobs, BASELINE, "blob detector")):
        values = curve.sensitivities(once, rates)[0]
        axes.plot(rates, values, color=colour, label=label, drawstyle="steps-post")
    axes.set_xscale("log", base=2)
    axes.set_xticks(
        (*FALSE_POSITIVES, MAX_FALSE_POSITIVES), ["1/8", "1/4", "1/2", "1", "2", "4", "8"]
    )
    axes.minorticks_off()
    axes.set(xlabel="false positives an image", ylabel="share of lesions found", ylim=(0, 1.02))
    axes.legend(loc="upper left")


def roc(axes: Axes, images: Sequence[ImageResult]) -> None:
    """Draw sensitivity against 1 - specificity of the has-mask score."""
    told = told_of(images)
    scores, labels = scores_and_labels(told)
    grid = np.linspace(0, 1, 101)
    curves = []
    for weights in resamples(told)[0]:
        if (weights * labels).any() and (weights * ~labels).any():
            false, true, _ = roc_curve(labels, scores, sample_weight=weights)
            curves.append(np.interp(grid, false, true))
    axes.plot([0, 1], [0, 1], color=QUIET, lw=0.8, ls=":")
    if curves:
        _band(axes, grid, np.array(curves))
    probe = [image.probe for image in told if image.probe is not None]
    lines = [(scores, NET, "net")]
    if len(probe) == len(told):
        lines.append((np.array(probe), BASELINE, "linear probe"))
    for values, colour, label in lines:
        false, true, _ = roc_curve(labels, values)
        axes.plot(false, true, color=colour, label=label)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower right")


def scores(axes: Axes, images: Sequence[ImageResult], threshold: float) -> None:
    """Draw how the scores of each class are spread, and the threshold."""
    edges = np.linspace(0, 1, 21).tolist()
    for kind, colour, label in ((False, QUIET, "no lesion"), (True, ALARM, "lesion")):
        own = [image.score for image in images if image.has_lesion is kind]
        if own:
            shares = np.full(len(own), 1 / len(own))
            axes.hist(own, edges, weights=shares, color=colour, alpha=0.55, label=label)
    axes.axvline(threshold, color=INK, lw=1, ls="--")
    axes.set(xlabel="has-mask score", ylabel="share of its class", xlim=(0, 1))
    axes.legend(loc="best")


def reliability(axes: Axes, images: Sequence[ImageResult]) -> None:
    """Draw the share of positives against the score, both classes weighing the same."""
    told = told_of(images)
    scores, labels = scores_and_labels(told)
    weights = even_odds(np.ones((1, len(told))), labels)[0]
    bins = np.minimum((scores * BINS).astype(np.intp), BINS - 1)
    points = []
    for index in np.unique(bins):
        own = bins == index
        share = np.average(labels[own], weights=weights[own])
        points.append((np.average(scores[own], weights=weights[own]), share, own.sum()))
    score, share, sizes = np.array(points).T
    axes.plot([0, 1], [0, 1], color=QUIET, lw=0.8, ls=":")
    axes.plot(score, share, color=NET, lw=1)
    axes.scatter(score, share, s=12 + 300 * sizes / sizes.sum(), color=NET, alpha=0.8, lw=0)
    axes.set(xlabel="score", ylabel="share of positives", xlim=(0, 1), ylim=(0, 1.02))


def dice(axes: Axes, images: Sequence[ImageResult]) -> None:
    """Draw the Dice of every positive, sorted, beside that of the brightest 15 %."""
    values = np.array([[outlined(one).dice, outlined(one).dice_brightest] for one in images])
    for own, colour, label in zip(
        values.astype(np.float64).T, (NET, BASELINE), ("net", "brightest 15 %"), strict=True
    ):
        position = (np.arange(len(own)) + 0.5) / len(own)
        axes.plot(
            position, np.sort(own)[::-1], color=colour, label=f"{label}, mean {own.mean():.2f}"
        )
        axes.axhline(own.mean(), color=colour, lw=0.8, ls=":")
    axes.set(xlabel="share of images", ylabel="Dice", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper right")


def _band(
    axes: Axes,
    positions: Sequence[float] | NDArray[np.float64],
    drawn: NDArray[np.float64],
    step: str | None = None,
) -> None:
    """Shade the middle 95 % of resampled curves; those without any lesion do not count."""
    low, high = np.percentile(drawn[~np.isnan(drawn).any(axis=1)], (2.5, 97.5), axis=0)
    axes.fill_between(positions, low, high, color=NET, alpha=0.15, lw=0, step=step)  # type: ignore[arg-type]
