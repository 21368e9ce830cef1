import cv2
import numpy as np
import pytest

from service.imaging.breast import Box, Breast
from service.imaging.mammogram import Mammogram
from service.imaging.normalise import Normalisation
from service.imaging.resample import resize, to_working_grid

pytestmark = pytest.mark.unit

SPEC = Normalisation(low_percentile=0, high_percentile=100, maximum=1.0)


def test_the_box_is_brought_to_the_working_spacing() -> None:
    pixels = np.zeros((400, 300), np.uint16)
    pixels[100:200, 50:100] = 1000
    whole = Breast(np.ones((40, 30), np.bool_), Box(80, 40, 280, 240), found=True)
    image = to_working_grid(
        Mammogram(pixels, (0.1, 0.2)),
        whole,
        source_spacing_mm=(0.1, 0.2),
        working_mm=0.4,
        normalisation=SPEC,
    )
    assert image.pixels.shape == (50, 100)
    assert image.box == Box(80, 40, 280, 240)
    assert image.source_shape == (400, 300)
    # Rows 100..200 of the source are rows 5..30 of the box at 0.4 mm; columns 50..100 are 5..30.
    expected = np.zeros((50, 100), np.float32)
    expected[5:30, 5:30] = 1.0
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)


def test_shrinking_takes_the_mean_of_an_area() -> None:
    checkers = (np.indices((8, 8)).sum(axis=0) % 2 * 1000).astype(np.uint16)
    assert (resize(checkers, (4, 4)) == 500).all()


@pytest.mark.parametrize("shape", [(60, 40), (64, 48), (31, 45), (240, 180), (246, 184)])
@pytest.mark.parametrize("sides", [(960, 720), (961, 720), (960, 719)])
def test_halving_first_changes_little_and_moves_nothing(
    shape: tuple[int, int], sides: tuple[int, int]
) -> None:
    """Against OpenCV's own mean of fractional areas, over edges that lie anywhere."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: sides[0], : sides[1]]
    pixels = 2000 + 1000 * np.sin(y / 60) * np.cos(x / 45) + rng.normal(0, 60, sides)
    pixels[200:431, 101:388] += 9000
    pixels = pixels.astype(np.uint16)
    exact = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
    difference = resize(pixels, shape).astype(int) - exact
    assert np.abs(difference).mean() < 10
    assert np.abs(difference).max() < 900
    # A shift by half a source pixel would make the difference follow the slope.
    rows = np.gradient(exact.astype(float), axis=0)
    columns = np.gradient(exact.astype(float), axis=1)
    for slope in (rows, columns):
        shift = (difference * slope).sum() / (slope**2).sum()
        assert abs(shift) < 0.02


def test_enlarging_never_leaves_the_range() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(100, 200, (5, 7)).astype(np.uint16)
    larger = resize(pixels, (50, 70))
    assert larger.min() >= 100 and larger.max() <= 200
    assert larger.dtype == np.uint16


def test_one_axis_may_shrink_while_the_other_grows() -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 60000, (800, 100)).astype(np.uint16)
    mixed = resize(noise, (100, 110))
    # The mean of eight rows: noise must fall by nearly the root of eight.
    assert mixed.std() < noise.std() / 2
    assert mixed.shape == (100, 110)
