"""Lesions found against false positives an image (FROC).

Chakraborty, "Maximum likelihood analysis of free-response receiver operating characteristic
(FROC) data", 1989: a threshold on the marks of all images gives one point of the curve.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    def best_scores(self) -> tuple[float, ...]:
        """Return for each lesion the score of the best region that hits it; -inf for none."""
        return tuple(
            max(
                (score for score, hit in zip(self.scores, self.hits, strict=True) if lesion in hit),
                default=-np.inf,
            )
            for lesion in range(self.lesions)
        )


class Froc:
    """The curve of some images, which can be weighed anew without matching anew.

    A region that hits no lesion is a false positive; a lesion hit twice counts once, at its best
    region. Regions of equal score are taken or left together.
    """

    def __init__(self, images: Sequence[Candidates]) -> None:
        self.lesions = np.array([image.lesions for image in images], np.float64)
        marks = sorted(
            (-score, number, hits)
            for number, image in enumerate(images)
            for score, hits in zip(image.scores, map(sorted, image.hits), strict=True)
        )
        seen: set[tuple[int, int]] = set()
        fresh = []
        for _, number, hits in marks:
            new = {(number, lesion) for lesion in hits} - seen
            seen |= new
            fresh.append(len(new))
        self._image = np.array([number for _, number, _ in marks], np.intp)
        self._false = np.array([not hits for _, _, hits in marks], np.float64)
        self._found = np.array(fresh, np.float64)
        scores = -np.array([negated for negated, _, _ in marks], np.float64)
        self._last = np.flatnonzero(np.append(np.diff(scores) != 0, len(scores) > 0))
        self.thresholds = scores[self._last]

    def curve(
        self, weights: NDArray[np.float64], *, normals: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return false positives an image and the share of lesions found, at every threshold.

        Parameters
        ----------
        weights
            Shape (resamples, images): how often each image was drawn.
        normals
            Count false positives on the images without a lesion only.

        Returns
        -------
        Two arrays of shape (resamples, thresholds), thresholds falling. NaN without lesions, or
        without images to count on.
        """
        counted = np.where(self.lesions == 0, 1.0, 0.0) if normals else np.ones(len(self.lesions))
        drawn = weights[:, self._image]
        false = (drawn * (self._false * counted[self._image])).cumsum(axis=1)[:, self._last]
        found = (drawn * self._found).cumsum(axis=1)[:, self._last]
        return _share(false, weights @ counted), _share(found, weights @ self.lesions)

    def sensitivities(
        self, weights: NDArray[np.float64], rates: Sequence[float], *, normals: bool = False
    ) -> NDArray[np.float64]:
        """Return the best share of lesions found with at most `rates` false positives an image.

        Returns
        -------
        Shape (resamples, rates).
        """
        false, found = self.curve(weights, normals=normals)
        nothing = _share(np.zeros((len(weights), 1)), weights @ self.lesions)
        found = np.hstack([nothing, found])
        result = np.empty((len(weights), len(rates)))
        for column, rate in enumerate(rates):
            reached = (false <= rate + 1e-9).sum(axis=1)
            result[:, column] = found[np.arange(len(weights)), reached]
        if normals:
            result[weights @ (self.lesions == 0) == 0] = np.nan
        return result

    def threshold(self, rate: float) -> float:
        """Return the lowest score at which false positives stay at `rate` an image; inf if none."""
        false, _ = self.curve(np.ones((1, len(self.lesions))))
        reached = int((false[0] <= rate + 1e-9).sum())
        return float(self.thresholds[reached - 1]) if reached else float("inf")


def froc_sensitivity(images: Sequence[Candidates], false_positives: float) -> float:
    """Return the best share of lesions found with at most `false_positives` an image on average.

    NaN without lesions.
    """
    weights = np.ones((1, len(images)))
    return float(Froc(images).sensitivities(weights, [false_positives])[0, 0])


def join_views(images: Sequence[Candidates], breasts: Sequence[Hashable]) -> list[Candidates]:
    """Return the candidates counted by breast: a lesion is found when any view of it finds it.

    No source says which outline of one view is which of the other. So a breast holds as many
    lesions as the view that shows the most, and at every threshold as many are found as the view
    that finds the most of its own: the fewest that all views together can have found. Where each
    view shows one lesion, that is the plain rule, found in any view. False positives stay those of
    each image, and are still counted an image.

    Parameters
    ----------
    images
        One entry a view.
    breasts
        Which breast each of them shows; of one patient.

    Returns
    -------
    One entry a view, in the same order: the first view of a breast carries all its lesions, the
    others none. So weights of patients hold for them too; `normals` of `Froc` does not.
    """
    views: dict[Hashable, list[int]] = {}
    for index, breast in enumerate(breasts):
        views.setdefault(breast, []).append(index)
    joined = [_misses(image) for image in images]
    for own in views.values():
        best = best_of_views([images[index] for index in own])
        first = joined[own[0]]
        found = [(score, number) for number, score in enumerate(best) if np.isfinite(score)]
        joined[own[0]] = Candidates(
            scores=(*first.scores, *(score for score, _ in found)),
            hits=(*first.hits, *(frozenset({number}) for _, number in found)),
            lesions=len(best),
        )
    return joined


def best_of_views(views: Sequence[Candidates]) -> tuple[float, ...]:
    """Return for each lesion of a breast the score from which it counts as found; -inf for never.

    The k-th score is the best k-th score of a view: see `join_views`.
    """
    ranked = [sorted(view.best_scores(), reverse=True) for view in views]
    lesions = max((view.lesions for view in views), default=0)
    return tuple(max(own[rank] for own in ranked if len(own) > rank) for rank in range(lesions))


def _misses(image: Candidates) -> Candidates:
    scores = tuple(score for score, hits in zip(image.scores, image.hits, strict=True) if not hits)
    return Candidates(scores, (frozenset(),) * len(scores), 0)


def _share(counts: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    below = np.broadcast_to(totals[:, None], counts.shape)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts, below, out=shares, where=below > 0)
    return shares
