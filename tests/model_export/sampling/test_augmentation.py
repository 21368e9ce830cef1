import numpy as np
import pytest

from model_export.config import Augmentation
from model_export.phantom import breast_phantom
from model_export.sampling.augmentation import Exposure, View, exposed, intensities, warp
from service.imaging.normalise import Normalisation, normalise

pytestmark = pytest.mark.unit

STILL = Augmentation(
    log_gamma=0.0,
    log_contrast=0.0,
    brightness=0.0,
    blur_probability=0.0,
    noise=0.0,
    patch_probability=0.0,
    film_probability=0.0,
    exposure_probability=0.0,
)


def test_a_view_without_change_is_the_image() -> None:
    image = breast_phantom(64)
    matrix = View(centre=(31.5, 31.5)).matrix(64, 64)
    np.testing.assert_array_equal(warp(image, matrix, 64, 64, mask=False), image)


def test_a_crop_is_centred_where_the_view_says() -> None:
    image = np.zeros((100, 80), np.uint8)
    image[60, 25] = 200
    crop = warp(image, View(centre=(60, 25)).matrix(33, 21), 33, 21, mask=True)
    assert crop[16, 10] == 200


def test_flips_turn_rows_and_columns() -> None:
    image = breast_phantom(64)
    both = View(centre=(31.5, 31.5), flips=(True, False)).matrix(64, 64)
    np.testing.assert_array_equal(warp(image, both, 64, 64, mask=True), image[::-1])
    both = View(centre=(31.5, 31.5), flips=(False, True)).matrix(64, 64)
    np.testing.assert_array_equal(warp(image, both, 64, 64, mask=True), image[:, ::-1])


def test_scale_enlarges() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[28:36, 28:36] = 1
    crop = warp(image, View(centre=(31.5, 31.5), scale=2.0).matrix(64, 64), 64, 64, mask=True)
    assert crop.sum() == 16 * 16


def test_no_change_of_tone_keeps_the_values() -> None:
    crop = breast_phantom(64)
    breast = (crop > 0).astype(np.uint8)
    values = intensities(crop, breast, 1.25, STILL, np.random.default_rng(0))
    np.testing.assert_allclose(values, crop / 255 * 1.25, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_any_change_stays_in_range_and_inside_the_breast(seed: int) -> None:
    spec = Augmentation(
        blur_probability=1.0,
        patch_probability=1.0,
        film_probability=1.0,
        exposure_probability=1.0,
        noise=0.2,
    )
    crop = breast_phantom(64)
    breast = (crop > 0).astype(np.uint8)
    values = intensities(crop, breast, 1.25, spec, np.random.default_rng(seed))
    assert values.dtype == np.float32
    assert values.min() >= 0.0 and values.max() <= 1.25
    assert not values[breast == 0].any()
    assert np.abs(values - crop / 255 * 1.25).max() > 0.02


@pytest.mark.parametrize("contrast", [0.67, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("pivot", [0.0, 0.2, 0.5])
def test_an_exposure_is_what_the_service_makes_of_the_changed_image(
    contrast: float, pivot: float
) -> None:
    spec = Normalisation()
    stored = 0.1 + 0.7 * breast_phantom(128).astype(np.float64) / 255
    breast = breast_phantom(128) > 0
    low, high = np.percentile(stored[breast], (spec.low_percentile, spec.high_percentile))
    changed = np.clip(pivot + contrast * (stored - pivot), 0.0, 1.0)
    before, after = (
        normalise(np.round(one * 65535).astype(np.uint16), breast, spec)
        for one in (stored, changed)
    )
    exposure = Exposure(float(low), float(high), contrast, pivot)
    expected = exposed(before.astype(np.float64), exposure, spec.maximum) * breast
    # What normalisation clipped the first time cannot come back.
    known = (before > 0) & (before < spec.maximum)
    np.testing.assert_allclose(after[known], expected[known], atol=2e-3)


def test_an_exposure_that_leaves_nothing_is_not_made() -> None:
    grey = np.linspace(0.0, 1.25, 256)
    flat = Exposure(low=0.6, high=0.9, contrast=5.0, pivot=0.0)
    np.testing.assert_array_equal(exposed(grey, flat, 1.25), grey)


def test_exposures_of_high_contrast_lose_the_bright_end() -> None:
    grey = np.linspace(0.0, 1.25, 256)
    lost = exposed(grey, Exposure(low=0.2, high=0.8, contrast=2.0, pivot=0.0), 1.25)
    # 0.2 becomes 0.4 and 0.5 already 1: half of the old range is the whole new one.
    np.testing.assert_allclose(lost, np.clip(grey / 0.5, 0.0, 1.0), atol=1e-9)
