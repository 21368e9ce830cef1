"""The figures, on plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

HIT_IOU = 0.1
"""A region hits a lesion at this IoU, or when its centre lies inside the lesion."""


def dice(predicted: NDArray[np.bool_], lesion: NDArray[np.bool_]) -> float:
    """Give 2 |A and B| / (|A| + |B|) of two masks of one shape; 1 when both are empty."""
    both = int(predicted.sum()) + int(lesion.sum())
    return 1.0 if both == 0 else 2.0 * int((predicted & lesion).sum()) / both


def brightest(
    pixels: NDArray[np.integer], breast: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Give the baseline's mask: the brightest `share` of the breast."""
    level = np.quantile(pixels[breast], 1.0 - share)
    mask: NDArray[np.bool_] = (pixels >= level) & breast
    return mask


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Give the area under the ROC curve: the chance that a positive outscores a negative.

    Ties count half (Mann-Whitney). NaN unless both classes are there.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(labels, np.bool_)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    above = rank[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Regions of one image, matched with its lesions.

    Attributes
    ----------
    scores
        Of each region.
    hits
        For each region the indices of the lesions it hits.
    lesions
        How many lesions the image holds.
    """

    scores: tuple[float, ...]
    hits: tuple[frozenset[int], ...]
    lesions: int


def pieces(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Give the 8-connected pieces of a mask, each in the mask's shape."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [labels == index for index in range(1, count)]


def match(
    regions: Sequence[tuple[float, NDArray[np.bool_]]], lesion: NDArray[np.bool_]
) -> Candidates:
    """Match scored regions with the pieces of a lesion mask of the same shape."""
    lesions = pieces(lesion)
    hits = tuple(
        frozenset(index for index, one in enumerate(lesions) if _is_hit(region, one))
        for _, region in regions
    )
    return Candidates(tuple(score for score, _ in regions), hits, len(lesions))


def _is_hit(region: NDArray[np.bool_], lesion: NDArray[np.bool_]) -> bool:
    overlap = int((region & lesion).sum())
    if overlap >= HIT_IOU * int((region | lesion).sum()):
        return True
    rows, columns = np.nonzero(region)
    return bool(lesion[int(rows.mean()), int(columns.mean())])


def froc_sensitivity(images: Sequence[Candidates], false_positives: float) -> float:
    """Give the best share of lesions found with at most `false_positives` an image on average.

    NaN without lesions. Regions that hit no lesion are false positives; a lesion hit twice counts
    once.
    """
    total = sum(image.lesions for image in images)
    if total == 0:
        return float("nan")
    flat = [
        (score, number, hits)
        for number, image in enumerate(images)
        for score, hits in zip(image.scores, image.hits, strict=True)
    ]
    found: set[tuple[int, int]] = set()
    false, best = 0, 0
    for _, number, hits in sorted(flat, key=lambda one: -one[0]):
        false += not hits
        found.update((number, lesion) for lesion in hits)
        if false > false_positives * len(images):
            break
        best = len(found)
    return best / total
