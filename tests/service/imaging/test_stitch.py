import numpy as np
import pytest

from service.imaging.breast import Box
from service.imaging.resample import WorkingImage
from service.imaging.stitch import hann, stitch
from service.imaging.tiles import cut

pytestmark = pytest.mark.unit


def ramp(rows: int, columns: int) -> WorkingImage:
    pixels = np.linspace(0.0, 1.0, rows * columns, dtype=np.float32).reshape(rows, columns)
    return WorkingImage(
        pixels,
        np.ones((rows, columns), np.bool_),
        Box(10, 20, 10 + 2 * rows, 20 + 2 * columns),
        (4 * rows, 4 * columns),
    )


@pytest.mark.parametrize("shape", [(30, 40), (64, 64), (100, 70), (200, 131)])
def test_tiles_that_agree_are_put_back_together_exactly(shape: tuple[int, int]) -> None:
    image = ramp(*shape)
    tiles = cut(image, tile_size=64, stride=32)
    lesion_map = stitch(image, tiles, [tile.pixels for tile in tiles])
    np.testing.assert_allclose(lesion_map.probability, image.pixels, atol=1e-6)
    assert lesion_map.box == image.box


def test_tiles_that_disagree_leave_no_seam() -> None:
    image = ramp(64, 160)
    tiles = cut(image, tile_size=64, stride=32)
    maps = [np.full((64, 64), index % 2, np.float32) for index, _ in enumerate(tiles)]
    probability = stitch(image, tiles, maps).probability
    # A step from 0 to 1 spread over the 32-pixel overlap: no neighbour pair jumps.
    assert np.abs(np.diff(probability[32])).max() < 0.12


def test_nothing_is_found_outside_the_breast() -> None:
    image = ramp(64, 64)
    image.breast[:, 40:] = False
    tiles = cut(image, tile_size=64, stride=32)
    probability = stitch(image, tiles, [np.ones((64, 64), np.float32) for _ in tiles]).probability
    assert probability[:, :40].min() == 1.0
    assert not probability[:, 40:].any()


def test_the_window_is_symmetric_and_never_zero() -> None:
    window = hann(64)
    assert window.min() > 0.0
    np.testing.assert_allclose(window, window[::-1, ::-1])
    np.testing.assert_allclose(window, window.T)


def test_the_map_on_the_source_grid_fills_the_box() -> None:
    image = ramp(30, 40)
    tiles = cut(image, tile_size=64, stride=32)
    on_source = stitch(image, tiles, [tile.pixels for tile in tiles]).on_source_grid()
    assert on_source.shape == (60, 80)
