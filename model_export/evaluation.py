"""How good is the file? Every image goes through `service.segmenter`, as a request does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from model_export.datasets import Sample, read_source
from model_export.datasets.splits import Split, split_of
from model_export.metrics import Candidates, auc, brightest, dice, froc_sensitivity, match
from service.clock import Clock
from service.findings import Findings
from service.imaging.breast import find_breast
from service.imaging.regions import Region
from service.segmenter import Segmenter, Wishes

BRIGHTEST_SHARE = 0.15
"""Of the breast: the baseline's mask."""

FALSE_POSITIVES = 1.0
"""An image, for the lesion sensitivity."""

RESAMPLES = 2000

SMALL_SHARE = 0.05
"""Of the frame: outlines below are the sharper ones in CDD-CESM."""


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """One image with the service's answer, ungated, in the source's own pixels.

    Attributes
    ----------
    score
        The has-mask score.
    dice, dice_brightest
        Of the mask and of the baseline's; None where no lesion was drawn.
    candidates
        The regions matched with the lesions; None where nobody drew.
    lesion_share
        Of the frame.
    """

    source: str
    patient: str
    name: str
    has_lesion: bool
    score: float
    dice: float | None = None
    dice_brightest: float | None = None
    candidates: Candidates | None = None
    lesion_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval (patients resampled) and what it was counted over."""

    value: float
    low: float
    high: float
    images: int
    patients: int


def read_split(data: Path, sources: Sequence[str], split: Split) -> Iterator[Sample]:
    """Give the samples of one side of the split, source after source."""
    for source in sources:
        for sample in read_source(data, source):
            if split_of(sample.source, sample.patient) == split:
                yield sample


def answers(
    segmenter: Segmenter, samples: Iterator[Sample], description: str = "examining"
) -> Iterator[tuple[Sample, Findings]]:
    """Ask the service about every sample, ungated, with a progress bar."""
    wishes = Wishes(gate=False)
    for sample in track(samples, description=description, total=None):
        yield sample, segmenter.examine(sample.to_mammogram(), wishes, Clock())


def examine(sample: Sample, findings: Findings) -> Examined:
    """Compare one answer with the truth."""
    plain = Examined(
        source=sample.source,
        patient=sample.patient,
        name=sample.name,
        has_lesion=sample.has_lesion,
        score=findings.has_mask.score,
    )
    lesion = sample.lesion
    if lesion is None:
        return plain
    regions = [
        (region.max_probability, _drawn(region, lesion.shape)) for region in findings.regions
    ]
    examined = replace(plain, candidates=match(regions, lesion), lesion_share=float(lesion.mean()))
    if not sample.has_lesion:
        return examined
    return replace(
        examined,
        dice=dice(findings.mask, lesion),
        dice_brightest=dice(_brightest(sample), lesion),
    )


def _drawn(region: Region, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    box = region.box
    mask[box.top : box.bottom, box.left : box.right] = region.pixels
    return mask


def _brightest(sample: Sample) -> NDArray[np.bool_]:
    rows, columns = sample.pixels.shape
    found = find_breast(sample.pixels)
    breast = np.zeros((rows, columns), np.bool_)
    box = found.box
    breast[box.top : box.bottom, box.left : box.right] = found.on_grid(
        (rows, columns), (box.rows, box.columns)
    )
    return brightest(sample.pixels, breast, BRIGHTEST_SHARE)


Measure = Callable[[Sequence[Examined]], float]


def figures(images: Sequence[Examined], threshold: float) -> dict[str, Figure]:
    """Give every figure of every source, keys "source/figure".

    Parameters
    ----------
    images
        All that was examined.
    threshold
        The has-mask threshold of the contract.
    """
    result = {}
    for source in sorted({image.source for image in images}):
        own = [image for image in images if image.source == source]
        for name, (kept, measure) in _measures(own, threshold).items():
            if kept:
                result[f"{source}/{name}"] = with_interval(kept, measure)
    return result


def _measures(
    images: Sequence[Examined], threshold: float
) -> dict[str, tuple[list[Examined], Measure]]:
    drawn = [image for image in images if image.dice is not None]
    small = [image for image in drawn if image.lesion_share < SMALL_SHARE]
    searched = [image for image in images if image.candidates is not None]
    positives = [image for image in images if image.has_lesion]
    negatives = [image for image in images if not image.has_lesion]
    both = list(images) if positives and negatives else []
    return {
        "dice": (drawn, _mean_dice),
        "dice_brightest": (drawn, _mean_brightest),
        "dice_gain": (drawn, lambda kept: _mean_dice(kept) - _mean_brightest(kept)),
        "dice_under_5_percent": (small, _mean_dice),
        "lesion_sensitivity_at_1_fp": (searched if drawn else [], _sensitivity),
        "auc": (both, _image_auc),
        "patient_auc": (both, _patient_auc),
        "sensitivity": (positives, lambda kept: _share_above(kept, threshold)),
        "specificity": (negatives, lambda kept: 1.0 - _share_above(kept, threshold)),
    }


def with_interval(images: Sequence[Examined], measure: Measure) -> Figure:
    """Give a measure with its percentile interval over resampled patients."""
    patients: dict[str, list[Examined]] = {}
    for image in images:
        patients.setdefault(image.patient, []).append(image)
    groups = list(patients.values())
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(groups), size=len(groups))
        # A patient drawn twice is two patients, or its views would be averaged together.
        drawn.append(
            measure(
                [
                    replace(image, patient=f"{image.patient}#{turn}")
                    for turn, index in enumerate(chosen)
                    for image in groups[index]
                ]
            )
        )
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Figure(measure(images), float(low), float(high), len(images), len(groups))


def _mean_dice(images: Sequence[Examined]) -> float:
    return float(np.mean([image.dice for image in images if image.dice is not None]))


def _mean_brightest(images: Sequence[Examined]) -> float:
    known = [image.dice_brightest for image in images if image.dice_brightest is not None]
    return float(np.mean(known))


def _sensitivity(images: Sequence[Examined]) -> float:
    known = [image.candidates for image in images if image.candidates is not None]
    return froc_sensitivity(known, FALSE_POSITIVES)


def _image_auc(images: Sequence[Examined]) -> float:
    return auc([image.score for image in images], [image.has_lesion for image in images])


def _patient_auc(images: Sequence[Examined]) -> float:
    """Give the AUC of patients: mean score of the views, positive when any view is."""
    views: dict[str, list[Examined]] = {}
    for image in images:
        views.setdefault(image.patient, []).append(image)
    scores = [float(np.mean([view.score for view in own])) for own in views.values()]
    return auc(scores, [any(view.has_lesion for view in own) for own in views.values()])


def _share_above(images: Sequence[Examined], threshold: float) -> float:
    return float(np.mean([image.score >= threshold for image in images]))
