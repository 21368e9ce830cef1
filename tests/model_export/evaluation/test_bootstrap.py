import numpy as np
import pytest
from numpy.typing import NDArray

from model_export import resampling
from model_export.evaluation.bootstrap import mean_of, ratio_of, resamples, with_interval
from tests.model_export.answers import image_result

pytestmark = pytest.mark.unit


def test_intervals_resample_patients_not_images() -> None:
    # Ten images of two patients who differ: over images the interval would be narrow.
    images = [image_result("x", str(number % 2), True, float(number % 2)) for number in range(10)]
    figure = with_interval(images, mean_of([image.score for image in images]))
    assert (figure.value, figure.low, figure.high) == (0.5, 0.0, 1.0)
    assert (figure.images, figure.patients) == (10, 2)


def test_the_interval_of_a_mean_is_the_textbook_one() -> None:
    # The bootstrap of a mean of n values tends to the normal one: 1.96 s / sqrt(n) each side.
    values = np.random.default_rng(0).normal(0, 1, 400)
    images = [image_result("x", str(number), True, 0.5) for number in range(400)]
    figure = with_interval(images, mean_of(values.tolist()))
    half = 1.96 * values.std() / np.sqrt(400)
    assert figure.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_every_resample_draws_as_many_patients_as_there_are() -> None:
    images = [image_result("x", str(number // 2), True, 0.5) for number in range(12)]
    drawn = np.vstack(resamples(images))
    assert drawn.shape == (resampling.RESAMPLES, 12)
    assert (drawn[:, ::2].sum(axis=1) == 6).all()
    assert (drawn[:, ::2] == drawn[:, 1::2]).all()
    assert drawn.max() > 1


def test_patients_of_two_sources_with_one_number_are_two() -> None:
    images = [image_result("x", "1", True, 0.0), image_result("y", "1", True, 1.0)]
    figure = with_interval(images, mean_of([0.0, 1.0]))
    assert (figure.low, figure.high, figure.patients) == (0.0, 1.0, 2)


def test_a_measure_that_is_nowhere_defined_has_no_interval() -> None:
    def never(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(len(weights), np.nan)

    figure = with_interval([image_result("x", "1", True, 0.5)], never)
    assert np.isnan([figure.value, figure.low, figure.high]).all()


def test_a_ratio_weighs_both_sides() -> None:
    measure = ratio_of([1.0, 4.0], [2.0, 5.0])
    assert measure(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist() == [5 / 7, 0.5]
    assert np.isnan(measure(np.zeros((1, 2)))).all()
