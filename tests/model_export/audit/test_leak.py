import math

import numpy as np
import pytest

from model_export import resampling
from model_export.audit.leak import Probe, probe

pytestmark = pytest.mark.unit


def ask(features: np.ndarray, labels: np.ndarray, patients: list[int]) -> Probe:
    return probe(features, labels, patients, question="q", seen="s", where="w")


def test_what_follows_from_brightness_leaks() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.4
    features = rng.normal(size=(300, 6))
    features[:, 2] += 1.5 * labels
    found = ask(features, labels, list(range(300)))
    # Two normal distributions 1.5 standard deviations apart.
    assert found.auc == pytest.approx(0.856, abs=0.05)
    assert found.low < found.auc < found.high and found.leaks
    assert (found.images, found.positives, found.patients) == (300, int(labels.sum()), 300)


def test_noise_does_not_leak() -> None:
    rng = np.random.default_rng(1)
    found = ask(rng.normal(size=(300, 6)), rng.random(300) < 0.4, list(range(300)))
    assert found.low < 0.5 < found.high and not found.leaks


def test_a_patient_is_never_fitted_and_scored() -> None:
    """Each patient's own level names it, and says nothing of another's label."""
    rng = np.random.default_rng(2)
    patients = np.repeat(np.arange(40), 8)
    labels = (rng.random(40) < 0.5)[patients]
    levels = np.eye(40)[patients]
    assert ask(levels, labels, patients.tolist()).auc < 0.6
    assert ask(levels, labels, list(range(320))).auc > 0.95


def test_the_interval_counts_patients_not_images() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 2 == 0
    features = rng.normal(size=(60, 3)) + labels[:, None] * 0.5
    alone = ask(features, labels, list(range(60)))
    copies = [np.repeat(part, 20, axis=0) for part in (features, labels, np.arange(60))]
    together = ask(copies[0], copies[1], copies[2].tolist())
    assert together.high - together.low > 0.6 * (alone.high - alone.low)


@pytest.mark.slow
@pytest.mark.long
def test_the_interval_covers_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 250)
    rng = np.random.default_rng(4)
    patients = np.repeat(np.arange(50), 2)
    leaks = 0
    for _ in range(40):
        features = rng.normal(size=(50, 3))[patients] + 0.1 * rng.normal(size=(100, 3))
        leaks += ask(features, (rng.random(50) < 0.5)[patients], patients.tolist()).leaks
    assert leaks <= 5  # one in forty is expected


def test_too_few_patients_say_nothing() -> None:
    labels = np.arange(100) < 4
    found = ask(np.random.default_rng(5).normal(size=(100, 2)), labels, list(range(100)))
    assert math.isnan(found.auc) and not found.known and not found.leaks


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.51, 0.6, "LEAKS"),
        (0.5, 0.6, "pass"),
        (0.4, 0.5, "pass"),
        (0.3, 0.4, "pass (below 0.5)"),
        (math.nan, math.nan, "too few patients"),
    ],
)
def test_the_verdict_is_the_side_of_one_half_that_the_interval_is_on(
    low: float, high: float, verdict: str
) -> None:
    found = Probe("q", "s", "w", (low + high) / 2, low, high, 9, 3, 9)
    assert found.verdict == verdict
