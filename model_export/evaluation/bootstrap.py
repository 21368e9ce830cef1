"""Figures with their intervals, from resampled patients."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.evaluation.image_result import ImageResult
from model_export.resampling import interval, patient_draws

Measure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From weights, shape (resamples, images), to values, shape (resamples,)."""

Named = Iterator[tuple[str, Sequence[ImageResult], Measure]]
"""Name of a figure, the images that it is counted over, and how."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval (patients resampled) and what it was counted over."""

    value: float
    low: float
    high: float
    images: int
    patients: int


def with_interval(images: Sequence[ImageResult], measure: Measure) -> Figure:
    """Return a measure with its percentile interval over resampled patients.

    A patient drawn twice counts as two. Resamples where the measure is not defined are left out.

    Parameters
    ----------
    images
        What is measured; at least one.
    measure
        Takes weights in the order of `images`.
    """
    value = float(measure(np.ones((1, len(images))))[0])
    low, high = interval(np.concatenate([measure(weights) for weights in resamples(images)]))
    return Figure(value, low, high, len(images), len(set(_patients(images))))


def resamples(images: Sequence[ImageResult]) -> list[NDArray[np.float64]]:
    """Return how often each image is drawn when patients are: float64, (resamples, images)."""
    _, owners = np.unique(_patients(images), return_inverse=True)
    return list(patient_draws(owners))


def _patients(images: Sequence[ImageResult]) -> list[str]:
    return [f"{image.source}/{image.patient}" for image in images]


def mean_of(values: Sequence[float]) -> Measure:
    """Return the measure that is the mean of a value of each image."""
    return ratio_of(values, [1.0] * len(values))


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Measure:
    """Return the measure that is a sum over images divided by another; NaN where that is 0."""
    numerator, denominator = np.array(above, np.float64), np.array(below, np.float64)

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ denominator
        quotient = np.full(total.shape, np.nan)
        np.divide(weights @ numerator, total, out=quotient, where=total > 0)
        return quotient

    return measure
