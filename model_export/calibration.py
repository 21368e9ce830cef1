"""Choosing the operating point on validation patients, and writing it into the file.

Nothing here sees a test patient.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from model_export.datasets import Sample, read_source
from model_export.evaluation import ask, in_parallel
from model_export.export.graph import shift_activation
from model_export.export.run import contract_of, write
from model_export.export.verify import SHIFT, has_mask_shift
from model_export.metrics import dice
from service.cores import available_cores
from service.findings import regions_and_mask
from service.imaging.stitch import LesionMap
from service.inference.contract import Contract, OperatingPoint, Score, sigmoid
from service.opening import open_model

NO_NEGATIVES = "not chosen: no source has validation images without lesions"
"""Then temperature, shift and threshold of the has-mask score stay as they were."""

MASK_THRESHOLDS = tuple(round(0.25 + 0.05 * step, 2) for step in range(15))
TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 101))
CANDIDATE = 0.2
MINIMUM_REGION_MM2 = 10.0


@dataclass(frozen=True, slots=True)
class Scored:
    """The has-mask score of one image, and what it should say."""

    source: str
    has_lesion: bool
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A lesion, and the map that should show it."""

    lesion: NDArray[np.bool_]
    lesion_map: LesionMap
    spacing_mm: tuple[float, float]


def calibrate(path: Path, data: Path) -> Contract:
    """Choose thresholds and temperature on the validation split and write them into the file.

    The mask threshold maximises the mean Dice of the images whose lesions were outlined;
    temperature and a shift of the has-mask logit, which goes into the last bias of the head,
    minimise the cross-entropy of the sources that have both classes; the has-mask threshold is the
    lowest of the best Youden index, every source weighing the same. Figures of an earlier operating
    point are dropped from the contract: `evaluate` finds new ones.

    Parameters
    ----------
    path
        The ONNX file, rewritten in place.
    data
        Holds one folder a source.

    Returns
    -------
    The contract as it now stands in the file.
    """
    model = onnx.load(path)
    contract = contract_of(model)
    chosen, shift = _choose(contract, *_collect(path, data, contract))
    shift_activation(model, contract.outputs.activation, shift)
    evaluation: dict[str, float | str] = {SHIFT: shift + has_mask_shift(contract)}
    provenance = chosen.provenance.model_copy(update={"evaluation": evaluation})
    chosen = chosen.model_copy(update={"provenance": provenance})
    write(model, chosen, path)
    return chosen


def _choose(
    contract: Contract, images: Sequence[Scored], drawn: Sequence[_Drawn]
) -> tuple[Contract, float]:
    """Give the contract with its thresholds, and how far the has-mask logit is to be moved."""
    temperature, shift, has_mask, chosen_by = choose_score(contract, images)
    point = OperatingPoint(
        has_mask=has_mask,
        chosen_by=chosen_by,
        mask=choose_mask(drawn),
        candidate=CANDIDATE,
        minimum_region_mm2=MINIMUM_REGION_MM2,
    )
    golden = contract.golden.model_copy(
        update={"has_mask_logit": contract.golden.has_mask_logit + shift}
    )
    update = {
        "score": Score(rule="max", temperature=temperature),
        "operating_point": point,
        "golden": golden,
    }
    return contract.model_copy(update=update), shift


def choose_score(contract: Contract, images: Sequence[Scored]) -> tuple[float, float, float, str]:
    """Give temperature, shift and threshold of the has-mask score, and how they were chosen."""
    if not _balanced(images)[0].any():
        point = contract.operating_point
        return contract.score.temperature, 0.0, point.has_mask, NO_NEGATIVES
    logits = [_logit(image.score) * contract.score.temperature for image in images]
    temperature, shift = choose_scale(images, logits)
    scored = [
        Scored(image.source, image.has_lesion, sigmoid((logit + shift) / temperature))
        for image, logit in zip(images, logits, strict=True)
    ]
    threshold = round(choose_has_mask(scored), 4)
    return temperature, shift, threshold, holds_for(scored, threshold)


def holds_for(images: Sequence[Scored], threshold: float) -> str:
    """Say how the has-mask threshold was chosen, and what it does to the images of each source."""
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
    return (
        "best Youden index on validation patients, sources weighing the same; one threshold does "
        f"not serve all: {', '.join(shares)}"
    )


def _collect(path: Path, data: Path, contract: Contract) -> tuple[list[Scored], list[_Drawn]]:
    images, drawn = [], []
    with open_model(path, runners=available_cores()) as segmenter:
        samples = _validation(data, contract.provenance.training_data)
        asked = in_parallel(lambda sample: ask(segmenter, sample), samples, "calibrating")
        for sample, found in asked:
            images.append(Scored(sample.source, sample.has_lesion, found.has_mask.score))
            if sample.annotation == "pixel_mask" and sample.lesion is not None:
                drawn.append(_Drawn(sample.lesion, found.lesion_map, sample.pixel_spacing_mm))
    return images, drawn


def _validation(data: Path, sources: Sequence[str]) -> Iterator[Sample]:
    for source in sources:
        for sample in read_source(data, source):
            if sample.split == "validation":
                yield sample


def choose_mask(drawn: Sequence[_Drawn]) -> float:
    """Give the mask threshold of the best mean Dice, masks made exactly as they are served.

    Raises
    ------
    ValueError
        Nothing is outlined.
    """
    if not drawn:
        raise ValueError("the mask threshold needs validation images with outlined lesions")
    return max(MASK_THRESHOLDS, key=lambda level: _mean_dice(drawn, level))


def _mean_dice(drawn: Sequence[_Drawn], level: float) -> float:
    point = OperatingPoint(
        has_mask=0.5,
        chosen_by="sweep",
        mask=level,
        candidate=min(level, CANDIDATE),
        minimum_region_mm2=MINIMUM_REGION_MM2,
    )
    masks = (regions_and_mask(one.lesion_map, point, one.spacing_mm)[1] for one in drawn)
    return float(np.mean([dice(mask, one.lesion) for mask, one in zip(masks, drawn, strict=True)]))


def choose_scale(images: Sequence[Scored], logits: Sequence[float]) -> tuple[float, float]:
    """Give temperature and shift: sigmoid((logit + shift) / temperature) is the least surprised.

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


def choose_has_mask(images: Sequence[Scored]) -> float:
    """Give the lowest score at which mean sensitivity + mean specificity is the best.

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


def _logit(score: float) -> float:
    clipped = min(max(score, 1e-9), 1 - 1e-9)
    return float(np.log(clipped / (1 - clipped)))
