"""For whom does it work? Figures by size, place, density, view, device and kind of outline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model_export.datasets.kinds import kind_name
from model_export.evaluation.bootstrap import Figure, mean_of, ratio_of, with_interval
from model_export.evaluation.choices import (
    by_source,
    has_both_classes,
    outlined,
    scores_and_labels,
    searched_of,
    told_of,
    with_lesions,
)
from model_export.evaluation.examined import Examined, Lesion
from model_export.froc import Froc
from model_export.metrics import weighted_auc

FEW = 10
"""Positives: with fewer a stratum is marked."""

RATE = 1.0
"""False positives an image of the whole source, at which lesions count as found."""

Edges = tuple[tuple[str, float], ...]
"""Names of bins and the upper end of each, not included."""

SHARES: Edges = (("< 1 %", 0.01), ("1 to 5 %", 0.05), (">= 5 %", np.inf))
DIAMETERS: Edges = (
    ("< 10 mm", 10.0),
    ("10 to 20 mm", 20.0),
    ("20 to 40 mm", 40.0),
    (">= 40 mm", np.inf),
)
BORDERS: Edges = (("< 5 mm", 5.0), ("5 to 15 mm", 15.0), (">= 15 mm", np.inf))


@dataclass(frozen=True, slots=True)
class Stratum:
    """One part of one source.

    Attributes
    ----------
    dimension, name
        As "view" and "CC".
    positives
        Lesions where a lesion is what falls into a bin, else positive images.
    figures
        Any of dice, lesion_sensitivity, auc.
    """

    source: str
    dimension: str
    name: str
    positives: int
    figures: dict[str, Figure]

    @property
    def is_small(self) -> bool:
        """Whether so few positives say little."""
        return self.positives < FEW


def strata(images: Sequence[Examined]) -> list[Stratum]:
    """Split every source along every dimension in which it differs.

    Dice puts an image where its largest lesion belongs; lesion sensitivity puts each lesion where
    it belongs itself, at the score that gives one false positive an image in the whole source.
    The AUC of a bin of lesions sets its images against all negatives of the source.
    """
    rows = []
    for source, own in by_source(images).items():
        part = _Source(source, own, _threshold(own))
        rows += part.by_image("view", lambda image: image.view)
        rows += part.by_image("density", lambda image: image.density)
        rows += part.by_image("device", lambda image: image.manufacturer)
        rows += part.by_image("outline", _outline)
        rows += part.by_lesion("share of frame", lambda one: one.share, SHARES)
        rows += part.by_lesion("diameter", lambda one: one.diameter_mm, DIAMETERS)
        rows += part.by_lesion("distance to border", lambda one: one.border_mm, BORDERS)
    return rows


@dataclass(frozen=True, slots=True)
class _Source:
    """The images of one source, and the score from which a region counts as found."""

    name: str
    images: Sequence[Examined]
    threshold: float

    def by_image(self, dimension: str, value: Callable[[Examined], str | None]) -> list[Stratum]:
        names = sorted({name for image in self.images if (name := value(image)) is not None})
        rows = []
        for name in names if len(names) > 1 else []:
            own = [image for image in self.images if value(image) == name]
            positives = sum(image.has_lesion is True for image in own)
            found = _dice(own) | _auc(own) | _sensitivity(own, self.threshold, lambda _: True)
            if found:
                rows.append(Stratum(self.name, dimension, name, positives, found))
        return rows

    def by_lesion(
        self, dimension: str, value: Callable[[Lesion], float], edges: Edges
    ) -> list[Stratum]:
        negatives = [image for image in self.images if image.has_lesion is False]
        drawn = with_lesions(self.images)
        rows = []
        for name, belongs in _bins(value, edges):
            own = [image for image in drawn if belongs(_largest(image))]
            lesions = sum(belongs(one) for image in drawn for one in outlined(image).lesions)
            found = _dice(own) | _auc([*own, *negatives] if own else [])
            found |= _sensitivity(drawn, self.threshold, belongs)
            if lesions:
                rows.append(Stratum(self.name, dimension, name, lesions, found))
        return rows


def _outline(image: Examined) -> str | None:
    return None if image.dice is None else kind_name(image.annotation)


def _largest(image: Examined) -> Lesion:
    return max(outlined(image).lesions, key=lambda one: one.diameter_mm)


def _bins(
    value: Callable[[Lesion], float], edges: Edges
) -> list[tuple[str, Callable[[Lesion], bool]]]:
    lows = [-np.inf, *(high for _, high in edges)]

    def within(low: float, high: float) -> Callable[[Lesion], bool]:
        return lambda lesion: low <= value(lesion) < high

    return [(name, within(low, high)) for (name, high), low in zip(edges, lows, strict=False)]


def _threshold(images: Sequence[Examined]) -> float:
    searched = [outlined(image).candidates for image in searched_of(images)]
    return Froc(searched).threshold(RATE) if searched else np.inf


def _dice(images: Sequence[Examined]) -> dict[str, Figure]:
    drawn = with_lesions(images)
    if not drawn:
        return {}
    values = [image.dice for image in drawn if image.dice is not None]
    return {"dice": with_interval(drawn, mean_of(values))}


def _auc(images: Sequence[Examined]) -> dict[str, Figure]:
    told = told_of(images)
    if not has_both_classes(told):
        return {}
    scores, labels = scores_and_labels(told)
    return {"auc": with_interval(told, lambda weights: weighted_auc(scores, labels, weights))}


def _sensitivity(
    images: Sequence[Examined], threshold: float, belongs: Callable[[Lesion], bool]
) -> dict[str, Figure]:
    found, lesions, kept = [], [], []
    for image in searched_of(images):
        best = outlined(image).candidates.best_scores()
        own = [
            score
            for score, lesion in zip(best, outlined(image).lesions, strict=True)
            if belongs(lesion)
        ]
        if own:
            kept.append(image)
            found.append(sum(score >= threshold for score in own))
            lesions.append(len(own))
    if not kept:
        return {}
    return {"lesion_sensitivity": with_interval(kept, ratio_of(found, lesions))}
