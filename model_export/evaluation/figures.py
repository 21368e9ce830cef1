"""Every figure of every source, with its interval."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.evaluation.across import across_figures, pairs
from model_export.evaluation.bootstrap import (
    Figure,
    Measure,
    Named,
    mean_of,
    ratio_of,
    with_interval,
)
from model_export.evaluation.choices import (
    OUTLINES,
    by_source,
    has_both_classes,
    outlined,
    scores_and_labels,
    told_of,
    with_lesions,
    with_outlines,
)
from model_export.evaluation.contrast import FACTORS
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.lesions import lesion_figures
from model_export.metrics import (
    expected_calibration_error,
    sensitivity_at_specificity,
    weighted_auc,
)

SMALL_SHARE = 0.05
"""Of the frame: outlines below are the sharper ones in CDD-CESM."""

SPECIFICITIES = (0.90, 0.95)

POOLED = "all"
"""The source's name in figures over all sources together."""


def figures(images: Sequence[ImageResult], threshold: float) -> dict[str, Figure]:
    """Return every figure of every source, keys "source/figure".

    What a source cannot show (no outlines, one class only) is left out. Figures across two sources
    stand under the name of the pair: see `across.pairs`.

    Parameters
    ----------
    images
        All that was evaluated.
    threshold
        The has-mask threshold of the contract.
    """
    result: dict[str, Figure] = {}
    for source, own in by_source(images).items():
        for part in (_overlap, lesion_figures, _scores, _calibration, _contrast):
            result |= _measured(source, part(own))
        result |= _measured(source, _at_threshold(own, threshold))
    for pair, both in pairs(images).items():
        result |= _measured(pair, across_figures(both))
    return result | _measured(POOLED, _score_changes(images))


def _measured(source: str, named: Named) -> dict[str, Figure]:
    found = {f"{source}/{name}": with_interval(kept, how) for name, kept, how in named if kept}
    return {name: figure for name, figure in found.items() if not np.isnan(figure.value)}


def _overlap(images: Sequence[ImageResult]) -> Named:
    for ending in OUTLINES:
        for name, kept, how in _overlap_with(with_outlines(images, ending)):
            yield f"{name}{ending}", kept, how


def _overlap_with(drawn: Sequence[ImageResult]) -> Named:
    if not drawn:
        return
    hit = [image for image in drawn if outlined(image).mask_hits]
    small = [image for image in drawn if outlined(image).share < SMALL_SHARE]
    gains = [_known(image.dice) - _known(outlined(image).dice_brightest) for image in drawn]
    yield "dice", drawn, _mean(drawn, "dice")
    yield "dice_brightest", drawn, _mean(drawn, "dice_brightest")
    yield "dice_gain", drawn, mean_of(gains)
    yield "dice_under_5_percent", small, _mean(small, "dice")
    yield "dice_hits", hit, _mean(hit, "dice")
    yield "dice_gated", drawn, _mean(drawn, "dice_gated")
    yield "iou", drawn, _mean(drawn, "iou")
    yield "iou_hits", hit, _mean(hit, "iou")
    yield "iou_gated", drawn, _mean(drawn, "iou_gated")


def _scores(images: Sequence[ImageResult]) -> Named:
    told = told_of(images)
    if not has_both_classes(told):
        return
    scores, labels = scores_and_labels(told)
    yield "auc", told, lambda weights: weighted_auc(scores, labels, weights)
    yield "patient_auc", told, patient_auc(told)
    for share in SPECIFICITIES:
        yield f"sensitivity_at_{100 * share:.0f}_specificity", told, _at_specificity(told, share)
    probe = np.array([np.nan if image.probe is None else image.probe for image in told])
    if not np.isnan(probe).any():
        yield "probe_auc", told, lambda weights: weighted_auc(probe, labels, weights)
        yield (
            "auc_over_probe",
            told,
            lambda weights: (
                weighted_auc(scores, labels, weights) - weighted_auc(probe, labels, weights)
            ),
        )


def _calibration(images: Sequence[ImageResult]) -> Named:
    told = told_of(images)
    if not has_both_classes(told):
        return
    scores, labels = scores_and_labels(told)
    yield "ece", told, lambda weights: expected_calibration_error(scores, labels, weights)
    yield (
        "ece_even_odds",
        told,
        lambda weights: expected_calibration_error(scores, labels, even_odds(weights, labels)),
    )
    yield "brier", told, mean_of(((scores - labels) ** 2).tolist())


def _at_threshold(images: Sequence[ImageResult], threshold: float) -> Named:
    positives = [image for image in images if image.has_lesion is True]
    negatives = [image for image in images if image.has_lesion is False]
    tiled = [image for image in images if image.tile_scores]
    correlated = [image for image in images if image.correlation is not None]
    yield "sensitivity", positives, mean_of([image.score >= threshold for image in positives])
    yield "specificity", negatives, mean_of([image.score < threshold for image in negatives])
    yield "marks", images, mean_of([image.selected for image in images])
    yield "yes", images, mean_of([image.score >= threshold for image in images])
    yield "marks_on_negatives", negatives, mean_of([image.selected for image in negatives])
    yield "mask_share", images, mean_of([image.mask_share for image in images])
    yes = [sum(score >= threshold for score in image.tile_scores) for image in tiled]
    yield "positive_tiles", tiled, ratio_of(yes, [len(image.tile_scores) for image in tiled])
    yield (
        "correlation_outside",
        correlated,
        mean_of([_known(image.correlation) for image in correlated]),
    )


def _score_changes(images: Sequence[ImageResult]) -> Named:
    for factor in FACTORS:
        tried = [image for image in images if factor in image.contrast]
        changes = [abs(image.contrast[factor][0] - image.score) for image in tried]
        yield f"contrast_{factor:g}_score_change", tried, mean_of(changes)
    cut = [(image, image.cropped) for image in images if image.cropped is not None]
    moved = mean_of([abs(score - image.score) for image, score in cut])
    yield "cropped_score_change", [image for image, _ in cut], moved


def _contrast(images: Sequence[ImageResult]) -> Named:
    yield from _score_changes(images)
    for factor in FACTORS:
        tried = [image for image in images if factor in image.contrast]
        if has_both_classes(tried):
            yield f"contrast_{factor:g}_auc_loss", tried, _auc_loss(tried, factor)
        drawn = with_lesions(tried)
        losses = [_known(image.dice) - _known(image.contrast[factor][1]) for image in drawn]
        yield f"contrast_{factor:g}_dice_loss", drawn, mean_of(losses)


def _auc_loss(images: Sequence[ImageResult], factor: float) -> Measure:
    before, labels = scores_and_labels(images)
    after = np.array([image.contrast[factor][0] for image in images])
    return lambda weights: (
        weighted_auc(before, labels, weights) - weighted_auc(after, labels, weights)
    )


def even_odds(weights: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scale weights, (resamples, images), so that positives weigh what negatives do.

    The temperature was fitted so.
    """
    scaled = np.zeros_like(weights)
    for kind in (labels, ~labels):
        total = (weights * kind).sum(axis=1, keepdims=True)
        scaled += weights * kind / np.maximum(total, 1.0)
    return scaled


def patient_auc(images: Sequence[ImageResult]) -> Measure:
    """Return the AUC of patients: mean score of the views, positive when any view is."""
    views: dict[tuple[str, str], list[int]] = {}
    for index, image in enumerate(images):
        views.setdefault((image.source, image.patient), []).append(index)
    first = [own[0] for own in views.values()]
    scores = [float(np.mean([images[index].score for index in own])) for own in views.values()]
    labels = [any(images[index].has_lesion for index in own) for own in views.values()]
    # All views of a patient are drawn equally often.
    return lambda weights: weighted_auc(scores, labels, weights[:, first])


def _at_specificity(images: Sequence[ImageResult], share: float) -> Measure:
    scores, labels = scores_and_labels(images)
    return lambda weights: sensitivity_at_specificity(scores, labels, weights, share)


def _mean(images: Sequence[ImageResult], attribute: str) -> Measure:
    return mean_of([_known(getattr(outlined(image), attribute)) for image in images])


def _known(value: float | None) -> float:
    if value is None:
        raise ValueError("value must be known")
    return value
