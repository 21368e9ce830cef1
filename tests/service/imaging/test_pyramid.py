import numpy as np
import pytest

from service.imaging.breast import find_breast
from service.imaging.mammogram import Mammogram
from service.imaging.normalise import Normalisation, normalise
from service.imaging.pyramid import Pyramid
from service.imaging.resample import resize, to_working_grid

pytestmark = pytest.mark.unit


def noise(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 65536, shape, np.uint16)


def test_each_level_is_the_mean_of_blocks_of_the_last() -> None:
    pixels = noise((13, 22))
    pyramid = Pyramid(pixels)
    assert pyramid.level(0) is pixels
    # Left over: the last row, and the third but last columns of the second level's.
    expected = pixels[:12, :20].reshape(3, 4, 5, 4).mean(axis=(1, 3))
    assert np.abs(pyramid.level(2) - expected).max() <= 1, "rounded twice"
    assert pyramid.level(2) is pyramid.level(2), "made once"


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1)])
def test_a_side_of_one_pixel_stays(shape: tuple[int, int]) -> None:
    assert Pyramid(noise(shape)).level(3).shape == (1, 1)


@pytest.mark.parametrize("shape", [(1200, 800), (1201, 799), (300, 200)])
def test_shared_halves_change_nothing(shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, np.uint16)
    pixels[shape[0] // 5 : -shape[0] // 5, : shape[1] // 2] = 20_000
    pixels += noise(shape) // 16
    mammogram = Mammogram(pixels, (0.1, 0.1))
    pyramid = Pyramid(pixels)
    shared, alone = find_breast(pixels, pyramid), find_breast(pixels)
    np.testing.assert_array_equal(shared.thumbnail, alone.thumbnail)
    working = to_working_grid(
        mammogram,
        shared,
        source_spacing_mm=(0.1, 0.1),
        working_mm=0.4,
        normalisation=Normalisation(),
        pyramid=pyramid,
    )
    box = alone.box
    crop = pixels[box.top : box.bottom, box.left : box.right]
    size = working.pixels.shape[0], working.pixels.shape[1]
    expected = normalise(resize(crop, size), alone.on_grid(shape, size), Normalisation())
    np.testing.assert_array_equal(working.pixels, expected)
