"""For whom does it work? Figures by size, position, pathology, density, view, side and device."""

from collections.abc import Callable, Mapping, Sequence
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
from model_export.evaluation.image_result import ImageResult, Lesion
from model_export.evaluation.lesions import has_views_to_join
from model_export.froc import Froc, best_of_views
from model_export.metrics import weighted_auc

FEW = 10
"""Positives: with fewer a stratum is marked."""

RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False positives an image of the whole source, at which lesions count as found."""

RATE = 1.0
"""Of them, the one that is drawn, and whose figure's key does not name it."""

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
        Any of dice (outlines that people drew), dice_pseudo (outlines that a net drew), auc, and
        lesion_sensitivity and lesion_sensitivity_any_view: these as they stand at one false
        positive an image, and with `_at_R_fp` at the other `RATES`.
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


def strata(images: Sequence[ImageResult]) -> list[Stratum]:
    """Return every source split along every dimension in which it differs.

    Dice puts an image where its largest lesion belongs; lesion sensitivity puts each lesion where
    it belongs itself, at the scores that give `RATES` false positives an image in the whole source.
    The AUC of a bin of lesions sets its images against all negatives of the source. Any view means
    any view of the breast that is in the stratum; strata of lesions have no such figure, since two
    views measure a lesion differently, and no source says which of them are the same.
    """
    rows = []
    for source, own in by_source(images).items():
        part = _Source(source, own, _thresholds(own))
        rows += part.by_image("view", lambda image: image.view)
        rows += part.by_image("laterality", lambda image: image.laterality)
        rows += part.by_image("pathology", lambda image: image.pathology)
        rows += part.by_image("density", lambda image: image.density)
        rows += part.by_image("device", lambda image: image.manufacturer)
        rows += part.by_image("outline", _outline)
        rows += part.by_lesion("size third", lambda one: one.diameter_mm, size_thirds(own))
        rows += part.by_lesion("share of frame", lambda one: one.share, SHARES)
        rows += part.by_lesion("diameter", lambda one: one.diameter_mm, DIAMETERS)
        rows += part.by_lesion("distance to border", lambda one: one.border_mm, BORDERS)
    return rows


@dataclass(frozen=True, slots=True)
class _Source:
    """The images of one source, and the score from which a region counts as found, by rate."""

    name: str
    images: Sequence[ImageResult]
    thresholds: Mapping[float, float]

    def by_image(self, dimension: str, value: Callable[[ImageResult], str | None]) -> list[Stratum]:
        names = sorted({name for image in self.images if (name := value(image)) is not None})
        rows = []
        for name in names if len(names) > 1 else []:
            own = [image for image in self.images if value(image) == name]
            positives = sum(image.has_lesion is True for image in own)
            found = _dice(own) | _auc(own) | _sensitivity(own, self.thresholds, lambda _: True)
            found |= _any_view(own, self.thresholds)
            if found:
                rows.append(Stratum(self.name, dimension, name, positives, found))
        return rows

    def by_lesion(
        self, dimension: str, value: Callable[[Lesion], float], edges: Edges
    ) -> list[Stratum]:
        negatives = [image for image in self.images if image.has_lesion is False]
        # An outline may be empty where somebody says that there is a lesion: it is in no bin.
        drawn = [image for image in with_lesions(self.images) if outlined(image).lesions]
        rows = []
        for name, belongs in _bins(value, edges):
            own = [image for image in drawn if belongs(_largest(image))]
            lesions = sum(belongs(one) for image in drawn for one in outlined(image).lesions)
            found = _dice(own) | _auc([*own, *negatives] if own else [])
            found |= _sensitivity(drawn, self.thresholds, belongs)
            if lesions:
                rows.append(Stratum(self.name, dimension, name, lesions, found))
        return rows


def size_thirds(images: Sequence[ImageResult]) -> Edges:
    """Return the thirds of a source's lesions by diameter; none where they do not differ."""
    sizes = [one.diameter_mm for image in with_lesions(images) for one in outlined(image).lesions]
    if not sizes:
        return ()
    low, high = (float(edge) for edge in np.quantile(sizes, (1 / 3, 2 / 3)))
    if not min(sizes) < low < high:
        return ()
    return (
        (f"small, < {low:.1f} mm", low),
        (f"middle, < {high:.1f} mm", high),
        (f"large, >= {high:.1f} mm", np.inf),
    )


def _outline(image: ImageResult) -> str | None:
    return None if image.dice is None else kind_name(image.annotation)


def _largest(image: ImageResult) -> Lesion:
    return max(outlined(image).lesions, key=lambda one: one.diameter_mm)


def _bins(
    value: Callable[[Lesion], float], edges: Edges
) -> list[tuple[str, Callable[[Lesion], bool]]]:
    lows = [-np.inf, *(high for _, high in edges)]

    def within(low: float, high: float) -> Callable[[Lesion], bool]:
        return lambda lesion: low <= value(lesion) < high

    return [(name, within(low, high)) for (name, high), low in zip(edges, lows, strict=False)]


def _thresholds(images: Sequence[ImageResult]) -> dict[float, float]:
    searched = [outlined(image).candidates for image in searched_of(images)]
    return {rate: Froc(searched).threshold(rate) if searched else np.inf for rate in RATES}


def _dice(images: Sequence[ImageResult]) -> dict[str, Figure]:
    found = {}
    for key, pseudo in (("dice", False), ("dice_pseudo", True)):
        drawn = [
            image
            for image in with_lesions(images)
            if (image.annotation == "pseudo_outline") == pseudo
        ]
        values = [image.dice for image in drawn if image.dice is not None]
        if values:
            found[key] = with_interval(drawn, mean_of(values))
    return found


def _auc(images: Sequence[ImageResult]) -> dict[str, Figure]:
    told = told_of(images)
    if not has_both_classes(told):
        return {}
    scores, labels = scores_and_labels(told)
    return {"auc": with_interval(told, lambda weights: weighted_auc(scores, labels, weights))}


def _sensitivity(
    images: Sequence[ImageResult],
    thresholds: Mapping[float, float],
    belongs: Callable[[Lesion], bool],
) -> dict[str, Figure]:
    kept, scores = [], []
    for image in searched_of(images):
        best = outlined(image).candidates.best_scores()
        lesions = zip(best, outlined(image).lesions, strict=True)
        own = [score for score, lesion in lesions if belongs(lesion)]
        if own:
            kept.append(image)
            scores.append(own)
    return _found_at(kept, scores, thresholds, "lesion_sensitivity")


def _any_view(
    images: Sequence[ImageResult], thresholds: Mapping[float, float]
) -> dict[str, Figure]:
    drawn = with_lesions(images)
    if not has_views_to_join(drawn):
        return {}
    breasts: dict[tuple[str, ...], list[ImageResult]] = {}
    for image in drawn:
        breasts.setdefault(image.breast, []).append(image)
    kept = [views[0] for views in breasts.values()]
    scores = [
        best_of_views([outlined(image).candidates for image in views]) for views in breasts.values()
    ]
    return _found_at(kept, scores, thresholds, "lesion_sensitivity_any_view")


def _found_at(
    images: Sequence[ImageResult],
    scores: Sequence[Sequence[float]],
    thresholds: Mapping[float, float],
    name: str,
) -> dict[str, Figure]:
    """Return the share of lesions whose score reaches the threshold of each rate."""
    if not images:
        return {}
    lesions = [len(own) for own in scores]
    found = {}
    for rate, threshold in thresholds.items():
        hits = [sum(score >= threshold for score in own) for own in scores]
        key = name if rate == RATE else f"{name}_at_{rate:g}_fp"
        found[key] = with_interval(images, ratio_of(hits, lesions))
    return found
