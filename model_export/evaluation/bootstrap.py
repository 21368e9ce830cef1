"""Intervals by resampling patients: views of one patient are no independent observations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.evaluation.examined import Examined

RESAMPLES = 2000

AT_ONCE = 250
"""Resamples that a measure sees together: bounds its memory."""

Measure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From weights, shape (resamples, images), to values, shape (resamples,)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval (patients resampled) and what it was counted over."""

    value: float
    low: float
    high: float
    images: int
    patients: int


def with_interval(images: Sequence[Examined], measure: Measure) -> Figure:
    """Give a measure with its percentile interval over resampled patients.

    A patient drawn twice counts as two. Resamples where the measure is not defined are left out.

    Parameters
    ----------
    images
        What is measured; at least one.
    measure
        Takes weights in the order of `images`.
    """
    value = float(measure(np.ones((1, len(images))))[0])
    drawn = np.concatenate([measure(weights) for weights in resamples(images)])
    known = drawn[~np.isnan(drawn)]
    low, high = np.percentile(known, (2.5, 97.5)) if known.size else (np.nan, np.nan)
    patients = len({(image.source, image.patient) for image in images})
    return Figure(value, float(low), float(high), len(images), patients)


def resamples(images: Sequence[Examined]) -> list[NDArray[np.float64]]:
    """Give how often each image is drawn when patients are: arrays (resamples, images)."""
    names = [f"{image.source}/{image.patient}" for image in images]
    distinct, patient = np.unique(names, return_inverse=True)
    rng = np.random.default_rng(0)
    each = np.full(len(distinct), 1.0 / len(distinct))
    sizes = [AT_ONCE] * (RESAMPLES // AT_ONCE) + [RESAMPLES % AT_ONCE]
    counts = (rng.multinomial(len(distinct), each, size=size) for size in sizes if size)
    return [count[:, patient].astype(np.float64) for count in counts]


def mean_of(values: Sequence[float]) -> Measure:
    """Give the measure that is the mean of a value of each image."""
    return ratio_of(values, [1.0] * len(values))


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Measure:
    """Give the measure that is a sum over images divided by another; NaN where that is 0."""
    numerator, denominator = np.array(above, np.float64), np.array(below, np.float64)

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ denominator
        quotient = np.full(total.shape, np.nan)
        np.divide(weights @ numerator, total, out=quotient, where=total > 0)
        return quotient

    return measure
