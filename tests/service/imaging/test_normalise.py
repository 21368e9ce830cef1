import numpy as np
import pytest
from pydantic import ValidationError

from service.imaging.normalise import Normalisation, normalise

pytestmark = pytest.mark.unit

SPEC = Normalisation(low_percentile=2, high_percentile=98, maximum=1.25)


def test_percentiles_of_the_breast_become_zero_and_one() -> None:
    pixels = np.arange(101, dtype=np.uint16).reshape(1, 101) * 100
    result = normalise(pixels, np.ones(pixels.shape, np.bool_), SPEC)
    assert result[0, 2] == pytest.approx(0.0)
    assert result[0, 98] == pytest.approx(1.0)
    assert result[0, 50] == pytest.approx(0.5)
    assert result.dtype == np.float32
    assert result.min() == 0.0 and result.max() <= 1.25


def test_contrast_and_brightness_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(1000, 20000, (50, 40)).astype(np.uint16)
    breast = rng.random((50, 40)) > 0.3
    brighter = (pixels * 2 + 5000).astype(np.uint16)
    np.testing.assert_allclose(
        normalise(brighter, breast, SPEC), normalise(pixels, breast, SPEC), atol=1e-4
    )


def test_what_lies_outside_the_breast_neither_counts_nor_stays() -> None:
    pixels = np.arange(100, dtype=np.uint16).reshape(10, 10)
    breast = np.zeros((10, 10), np.bool_)
    breast[:, :5] = True
    labelled = pixels.copy()
    labelled[:, 5:] = 65535
    result = normalise(labelled, breast, SPEC)
    assert not result[:, 5:].any()
    np.testing.assert_array_equal(result, normalise(pixels, breast, SPEC))


@pytest.mark.parametrize("breast", [True, False])
def test_a_flat_or_empty_breast_is_all_zero(breast: bool) -> None:
    flat = np.full((8, 8), 77, np.uint16)
    assert not normalise(flat, np.full((8, 8), breast), SPEC).any()


def test_percentiles_must_ascend() -> None:
    with pytest.raises(ValidationError, match="below"):
        Normalisation(low_percentile=50, high_percentile=50)
