"""Which temperature, shift and threshold suit the has-mask scores of validation patients."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.inference.contract import Contract, sigmoid

NO_NEGATIVES = "not chosen: no source has validation images without lesions"
"""What a contract says where temperature, shift and threshold stay as they were."""

TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 101))


@dataclass(frozen=True, slots=True)
class Scored:
    """The has-mask score of one image, and what it should say."""

    source: str
    has_lesion: bool
    score: float


@dataclass(frozen=True, slots=True)
class ScoreChoice:
    """How the has-mask score is to be read.

    Attributes
    ----------
    temperature, shift
        The score is sigmoid((logit + shift) / temperature).
    threshold
        Of the has-mask decision.
    chosen_by
        In words.
    sensitivity
        Share of the images with lesions that the threshold was chosen to find; None where it was
        chosen otherwise.
    """

    temperature: float
    shift: float
    threshold: float
    chosen_by: str
    sensitivity: float | None = None


def choose_score(
    contract: Contract,
    images: Sequence[Scored],
    sensitivity: tuple[float, str] | None = None,
    films: Sequence[Scored] = (),
) -> ScoreChoice:
    """Choose temperature, shift and threshold of the has-mask score.

    Temperature and shift stay where no source has both classes.

    Parameters
    ----------
    images
        Of validation patients.
    films
        Of sources whose images all hold lesions: each film with its lesions and without them (see
        `lesion_free`). They count for temperature and shift alone.
    sensitivity
        The share of the images with lesions that is to be found, and the source whose images
        count; None for the best Youden index.

    Raises
    ------
    ValueError
        That source has no image with a lesion.
    """
    temperature, shift = contract.score.temperature, 0.0
    paired = [*_of_both_classes(images), *films]
    if paired:
        temperature, shift = choose_scale(paired, _logits(paired, temperature))
    elif sensitivity is None:
        return ScoreChoice(temperature, shift, contract.operating_point.has_mask, NO_NEGATIVES)

    def rescaled(asked: Sequence[Scored]) -> list[Scored]:
        logits = _logits(asked, contract.score.temperature)
        return [
            replace(image, score=sigmoid((logit + shift) / temperature))
            for image, logit in zip(asked, logits, strict=True)
        ]

    scored = rescaled(images)
    if sensitivity is None:
        # Where every image has a lesion, films with their lesions left out stand in for negatives.
        judged = scored if len({image.has_lesion for image in images}) == 2 else rescaled(paired)
        threshold = _four_digits(choose_has_mask(judged))
        return ScoreChoice(temperature, shift, threshold, holds_for(judged, threshold))
    share, source = sensitivity
    threshold = choose_for_sensitivity(scored, share, source)
    said = f"finds at least {share:.2f} of the validation images of {source} with lesions; "
    return ScoreChoice(
        temperature, shift, threshold, said + _shares(scored, threshold), sensitivity=share
    )


def choose_for_sensitivity(images: Sequence[Scored], share: float, source: str) -> float:
    """Return the highest threshold, of four digits, that finds this share of a source's lesions.

    Raises
    ------
    ValueError
        The source has no image with a lesion.
    """
    scores = sorted(
        (image.score for image in images if image.source == source and image.has_lesion),
        reverse=True,
    )
    if not scores:
        raise ValueError(f"no validation image of {source} has a lesion")
    wanted = int(np.ceil(share * len(scores) - 1e-9))
    return _four_digits(scores[max(wanted, 1) - 1])


def _four_digits(score: float) -> float:
    """Return a threshold that the score reaches: the score, rounded down to four digits."""
    return float(np.floor(score * 1e4) / 1e4)


def holds_for(images: Sequence[Scored], threshold: float) -> str:
    """Return how the has-mask threshold was chosen, and what it does to each source's images."""
    return (
        "best Youden index on validation patients, sources weighing the same; one threshold does "
        f"not serve all: {_shares(images, threshold)}"
    )


def _shares(images: Sequence[Scored], threshold: float) -> str:
    shares = []
    for source in sorted({image.source for image in images}):
        for kind, word in ((True, "finds"), (False, "spares")):
            hits = [
                (image.score >= threshold) == kind
                for image in images
                if image.source == source and image.has_lesion == kind
            ]
            if hits:
                shares.append(f"{source} {word} {np.mean(hits):.2f} of {len(hits)}")
    return ", ".join(shares)


def choose_scale(images: Sequence[Scored], logits: Sequence[float]) -> tuple[float, float]:
    """Return temperature and shift: sigmoid((logit + shift) / temperature) is the least surprised.

    Only sources with both classes count, and there each class of each source weighs the same: the
    score is then right where half of the images hold a lesion. A temperature alone would not do:
    training weighs "no cancer" down, so every logit is too high.

    Platt, "Probabilistic outputs for support vector machines", 1999; Guo et al., "On calibration
    of modern neural networks", 2017.

    Raises
    ------
    ValueError
        No source has both classes.
    """
    kept, weights = _balanced(images)
    if not kept.any():
        raise ValueError("no source of the split holds images with and without lesions")
    values = np.array(logits)[kept]
    signs = np.where([image.has_lesion for image in images], 1.0, -1.0)[kept]

    def loss(temperature: float) -> float:
        shifted = values + _shift(values, signs, weights[kept], temperature)
        return float((weights[kept] * np.logaddexp(0, -signs * shifted / temperature)).sum())

    best = float(min(TEMPERATURES, key=loss))
    return best, _shift(values, signs, weights[kept], best)


def _shift(
    values: NDArray[np.float64],
    signs: NDArray[np.float64],
    weights: NDArray[np.float64],
    temperature: float,
) -> float:
    """Find the shift at which the mean score is the share of positives, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        scores = np.exp(-np.logaddexp(0.0, -(values + middle) / temperature))
        if float((weights * (scores - (signs > 0))).sum()) > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _of_both_classes(images: Sequence[Scored]) -> list[Scored]:
    return [image for image, kept in zip(images, _balanced(images)[0], strict=True) if kept]


def choose_has_mask(images: Sequence[Scored]) -> float:
    """Return the lowest score at which mean sensitivity + mean specificity is the best.

    Means are over the sources.

    Raises
    ------
    ValueError
        All images are positive, or all negative.
    """
    positives: dict[str, list[float]] = {}
    negatives: dict[str, list[float]] = {}
    for image in images:
        kind = positives if image.has_lesion else negatives
        kind.setdefault(image.source, []).append(image.score)

    if not positives or not negatives:
        raise ValueError("the split must hold images with and without lesions")

    def youden(level: float) -> float:
        found = [float(np.mean(np.array(own) >= level)) for own in positives.values()]
        spared = [float(np.mean(np.array(own) < level)) for own in negatives.values()]
        return float(np.mean(found) + np.mean(spared))

    return max(sorted({image.score for image in images}), key=youden)


def _balanced(images: Sequence[Scored]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Say which images are of a source with both classes, and weigh its classes alike."""
    counts = Counter((image.source, image.has_lesion) for image in images)
    kept = [counts[image.source, not image.has_lesion] > 0 for image in images]
    weights = [1.0 / counts[image.source, image.has_lesion] for image in images]
    return np.array(kept), np.array(weights)


def _logits(images: Sequence[Scored], temperature: float) -> list[float]:
    """Return the has-mask logits that scores were made of at a temperature."""
    clipped = [min(max(image.score, 1e-9), 1 - 1e-9) for image in images]
    return [float(np.log(score / (1 - score))) * temperature for score in clipped]
