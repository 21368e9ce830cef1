"""Can a linear model tell the classes apart without seeing a lesion?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_export.metrics import weighted_auc
from model_export.resampling import interval, patient_draws

FOLDS = 5
SEED = 0
"""Of the folds."""

FEWEST_PATIENTS = 5
"""Of each class; with fewer an interval means nothing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a linear model could tell.

    Attributes
    ----------
    question
        What it was to tell apart.
    seen
        Which numbers it saw.
    where
        Of which images.
    auc, low, high
        On patients that it was not fitted on, with the 95 % interval over resampled patients.
        NaN when there were too few patients.
    images, positives, patients
        What it was counted over.
    """

    question: str
    seen: str
    where: str
    auc: float
    low: float
    high: float
    images: int
    positives: int
    patients: int

    @property
    def known(self) -> bool:
        """Whether there were enough patients to say anything."""
        return not math.isnan(self.auc)

    @property
    def leaks(self) -> bool:
        """Whether the interval lies above 0.5."""
        return self.known and self.low > 0.5

    @property
    def verdict(self) -> str:
        """Say it in words.

        An interval below 0.5 passes: a rule that holds for some patients and is reversed for others
        cannot be used. Classes that were matched on these very numbers come out like this.
        """
        if not self.known:
            return "too few patients"
        if self.leaks:
            return "LEAKS"
        return "pass" if self.high >= 0.5 else "pass (below 0.5)"


def probe(
    features: NDArray[np.float64],
    labels: ArrayLike,
    patients: Sequence[object],
    *,
    question: str,
    seen: str,
    where: str,
) -> Probe:
    """Fit a logistic regression on some patients and score the others, five times.

    Scores are ranked within each fold: those of two models are not on one scale.

    Parameters
    ----------
    features
        Shape (images, numbers).
    labels, patients
        Of each image; a patient's images are never on both sides of a fold.
    question, seen, where
        Kept with the answer.
    """
    truth = np.asarray(labels, np.bool_)
    names = {patient: index for index, patient in enumerate(dict.fromkeys(patients))}
    owners = np.array([names[patient] for patient in patients], np.intp)
    value, low, high = _auc(features, truth, owners)
    return Probe(
        question=question,
        seen=seen,
        where=where,
        auc=value,
        low=low,
        high=high,
        images=len(truth),
        positives=int(truth.sum()),
        patients=len(names),
    )


def _auc(
    features: NDArray[np.float64], truth: NDArray[np.bool_], owners: NDArray[np.intp]
) -> tuple[float, float, float]:
    smallest = min(len(np.unique(owners[truth == side])) for side in (False, True))
    if smallest < FEWEST_PATIENTS:
        return math.nan, math.nan, math.nan
    scores = held_out_ranks(features, truth, owners)
    value = weighted_auc(scores, truth, np.ones((1, len(truth))))[0]
    drawn = [weighted_auc(scores, truth, weights) for weights in patient_draws(owners)]
    return float(value), *interval(np.concatenate(drawn))


def held_out_ranks(
    features: NDArray[np.float64], truth: NDArray[np.bool_], owners: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the rank, in [0, 1], that a logistic regression gives to each image.

    Each patient is scored by a model that was fitted on others, and ranked within its fold.

    Parameters
    ----------
    features
        Shape (images, numbers).
    truth, owners
        Label and patient of each image; at least `FEWEST_PATIENTS` patients of each class.
    """
    ranks = np.zeros(len(truth))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for fitted, held_out in folds.split(features, truth, owners):
        model = make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
        )
        model.fit(features[fitted], truth[fitted])
        scores = model.decision_function(features[held_out])
        _, member, counts = np.unique(scores, return_inverse=True, return_counts=True)
        below = np.cumsum(counts) - (counts + 1) / 2
        ranks[held_out] = below[member] / len(scores)
    return ranks
