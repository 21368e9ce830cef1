"""Drawing patients again: views of one patient are no independent observations."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000

AT_ONCE = 250
"""Resamples that a measure sees together: bounds its memory."""

SEED = 0

INTERVAL = (2.5, 97.5)
"""Percentiles of the resampled values."""


def patient_draws(owners: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
    """Yield how often each image is drawn when patients are.

    Parameters
    ----------
    owners
        Number of each image's patient, counted from 0 without gaps, shape (images,).

    Yields
    ------
    float64, shape (resamples, images), `AT_ONCE` resamples at most, `RESAMPLES` in all.
    """
    patients = int(owners.max()) + 1
    rng = np.random.default_rng(SEED)
    each = np.full(patients, 1.0 / patients)
    for done in range(0, RESAMPLES, AT_ONCE):
        counts = rng.multinomial(patients, each, size=min(AT_ONCE, RESAMPLES - done))
        yield counts[:, owners].astype(np.float64)


def interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of resampled values, those left out that are not defined."""
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, INTERVAL)
    return float(low), float(high)
