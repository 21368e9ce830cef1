"""The figures, on plain arrays.

Those that patients are resampled for take `weights`, shape (resamples, images): how often each
image was drawn. One row of ones gives the plain figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_export.froc import Candidates, froc_sensitivity

__all__ = [
    "Candidates",
    "Lesions",
    "Mark",
    "auc",
    "brightest",
    "dice",
    "expected_calibration_error",
    "froc_sensitivity",
    "iou",
    "match",
    "match_marks",
    "sensitivity_at_specificity",
    "weighted_auc",
]

Weights = NDArray[np.float64]

HIT_IOU = 0.1
"""A region hits a lesion at this IoU, or when its centre lies inside the lesion."""

CALIBRATION_BINS = 15


def dice(predicted: NDArray[np.bool_], lesion: NDArray[np.bool_]) -> float:
    """Return 2 |A and B| / (|A| + |B|) of two bool masks of one shape; 1 if both are empty."""
    both = int(predicted.sum()) + int(lesion.sum())
    return 1.0 if both == 0 else 2.0 * int((predicted & lesion).sum()) / both


def iou(dice_value: float) -> float:
    """Return |A and B| / |A or B| of two masks whose Dice is known."""
    return dice_value / (2.0 - dice_value)


def brightest(
    pixels: NDArray[np.integer], breast: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Return the baseline's mask, bool: the brightest `share` of the breast's pixels."""
    level = np.quantile(pixels[breast], 1.0 - share)
    mask: NDArray[np.bool_] = (pixels >= level) & breast
    return mask


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the area under the ROC curve; see `weighted_auc`."""
    return float(weighted_auc(scores, labels, np.ones((1, len(scores))))[0])


def weighted_auc(scores: ArrayLike, labels: ArrayLike, weights: Weights) -> NDArray[np.float64]:
    """Return the area under the ROC curve: the chance that a positive outscores a negative.

    Ties count half (Mann-Whitney). NaN unless both classes are there.

    Parameters
    ----------
    scores, labels
        Of each image, shape (images,).
    weights
        Shape (resamples, images).

    Returns
    -------
    Shape (resamples,).
    """
    _, positive, negative = _by_score(scores, labels, weights)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _ratio((positive * below).sum(axis=1), pairs)


def sensitivity_at_specificity(
    scores: ArrayLike, labels: ArrayLike, weights: Weights, specificity: float
) -> NDArray[np.float64]:
    """Return the best sensitivity of a threshold that spares this share of the negatives.

    NaN unless both classes are there.

    Parameters
    ----------
    scores, labels
        Of each image, shape (images,).
    weights
        Shape (resamples, images).
    specificity
        In [0, 1].

    Returns
    -------
    Shape (resamples,).
    """
    _, positive, negative = _by_score(scores, labels, weights)
    nothing = np.zeros((len(weights), 1))
    # Column k: everything from the k-th score on is called positive; the last calls nothing so.
    spared = np.hstack([nothing, np.cumsum(negative, axis=1)])
    found = np.hstack([positive[:, ::-1].cumsum(axis=1)[:, ::-1], nothing])
    enough = spared >= specificity * spared[:, -1:] - 1e-9
    first = np.argmax(enough, axis=1)
    best = _ratio(found[np.arange(len(weights)), first], found[:, 0])
    return np.where(spared[:, -1] > 0, best, np.nan)


def expected_calibration_error(
    scores: ArrayLike, labels: ArrayLike, weights: Weights
) -> NDArray[np.float64]:
    """Return the mean distance between score and share of positives, over 15 equal bins of score.

    Guo et al., "On calibration of modern neural networks", 2017. NaN without images.

    Parameters
    ----------
    scores, labels
        Of each image, shape (images,); scores in [0, 1].
    weights
        Shape (resamples, images).

    Returns
    -------
    Shape (resamples,).
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    bins = np.minimum((values * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    member = np.eye(CALIBRATION_BINS)[bins]
    excess = np.abs(weights @ (member * (values - truth)[:, None]))
    return _ratio(excess.sum(axis=1), weights.sum(axis=1))


def _by_score(
    scores: ArrayLike, labels: ArrayLike, weights: Weights
) -> tuple[NDArray[np.float64], Weights, Weights]:
    """Return the distinct scores, ascending, and the weight of positives and negatives at each."""
    distinct, member = np.unique(np.asarray(scores, np.float64), return_inverse=True)
    truth = np.asarray(labels, np.bool_)
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(len(distinct)))
    positive = np.add.reduceat((weights * truth)[:, order], starts, axis=1)
    negative = np.add.reduceat((weights * ~truth)[:, order], starts, axis=1)
    return distinct, positive, negative


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A scored region, cut out: `pixels`, bool, has its first pixel at (top, left)."""

    score: float
    top: int
    left: int
    pixels: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """The 8-connected pieces of a lesion mask.

    Attributes
    ----------
    labels
        int32, the mask's shape: 0 for none, else 1 + the piece's index.
    areas
        Pixels of each piece.
    """

    labels: NDArray[np.int32]
    areas: NDArray[np.intp]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], least_pixels: float = 0.0) -> "Lesions":
        """Find the pieces; those under `least_pixels` are slips of a pen or of a resampling."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            mask.astype(np.uint8), connectivity=8
        )
        areas = stats[:, cv2.CC_STAT_AREA].astype(np.intp)
        kept = [index for index in range(1, count) if areas[index] >= least_pixels]
        renamed = np.zeros(count, np.int32)
        renamed[kept] = np.arange(1, len(kept) + 1)
        return cls(renamed[labels], areas[kept])

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Return (x, y, width, height) of the smallest box around each piece, in pixels."""
        found = []
        for index in range(len(self.areas)):
            x, y, width, height = cv2.boundingRect((self.labels == index + 1).astype(np.uint8))
            found.append((float(x), float(y), float(width), float(height)))
        return found


def match(
    regions: Sequence[tuple[float, NDArray[np.bool_]]], lesion: NDArray[np.bool_]
) -> Candidates:
    """Match scored regions with the pieces of a lesion mask, bool, of the image's shape."""
    marks = [Mark(score, 0, 0, region) for score, region in regions]
    return match_marks(marks, Lesions.of(lesion))


def match_marks(marks: Sequence[Mark], lesions: Lesions) -> Candidates:
    """Match marks with the lesions they hit."""
    return Candidates(
        scores=tuple(mark.score for mark in marks),
        hits=tuple(_hits(mark, lesions) for mark in marks),
        lesions=len(lesions.areas),
    )


def _hits(mark: Mark, lesions: Lesions) -> frozenset[int]:
    rows, columns = mark.pixels.shape
    window = lesions.labels[mark.top : mark.top + rows, mark.left : mark.left + columns]
    inside = window[mark.pixels]
    overlap = np.bincount(inside, minlength=len(lesions.areas) + 1)[1:]
    union = lesions.areas + inside.size - overlap
    found = set(np.flatnonzero(overlap >= HIT_IOU * union).tolist())
    centre_rows, centre_columns = np.nonzero(mark.pixels)
    centre = int(window[round(centre_rows.mean()), round(centre_columns.mean())])
    return frozenset(found | ({centre - 1} if centre else set()))
