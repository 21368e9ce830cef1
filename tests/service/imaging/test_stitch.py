import cv2
import numpy as np
import pytest

from service.imaging.breast import Box
from service.imaging.resample import WorkingImage
from service.imaging.stitch import LesionMap, hann, stitch
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
    tiles = cut(image, shapes=[(64, 64)], stride=32)
    lesion_map = stitch(image, tiles, [tile.pixels for tile in tiles])
    np.testing.assert_allclose(lesion_map.probability, image.pixels, atol=1e-6)
    assert lesion_map.box == image.box


def test_tiles_that_disagree_leave_no_seam() -> None:
    image = ramp(64, 160)
    tiles = cut(image, shapes=[(64, 64)], stride=32)
    maps = [np.full((64, 64), index % 2, np.float32) for index, _ in enumerate(tiles)]
    probability = stitch(image, tiles, maps).probability
    # A step from 0 to 1 spread over the 32-pixel overlap: no neighbour pair jumps.
    assert np.abs(np.diff(probability[32])).max() < 0.12


def test_nothing_is_found_outside_the_breast() -> None:
    image = ramp(64, 64)
    image.breast[:, 40:] = False
    tiles = cut(image, shapes=[(64, 64)], stride=32)
    probability = stitch(image, tiles, [np.ones((64, 64), np.float32) for _ in tiles]).probability
    assert probability[:, :40].min() == 1.0
    assert not probability[:, 40:].any()


def test_the_window_is_symmetric_and_never_zero() -> None:
    window = hann((64, 64))
    assert window.min() > 0.0
    np.testing.assert_allclose(window, window[::-1, ::-1])
    np.testing.assert_allclose(window, window.T)
    np.testing.assert_allclose(hann((64, 32))[:, 16], hann((64, 96))[:, 48], rtol=5e-3)


def test_tall_narrow_tiles_are_put_back_together_too() -> None:
    image = ramp(230, 50)
    tiles = cut(image, shapes=[(96, 64), (96, 96)], stride=64)
    assert {tile.pixels.shape for tile in tiles} == {(96, 64)}
    lesion_map = stitch(image, tiles, [tile.pixels for tile in tiles])
    np.testing.assert_allclose(lesion_map.probability, image.pixels, atol=1e-6)


def test_sampling_the_map_on_its_own_grid_changes_nothing() -> None:
    lesion_map = LesionMap(ramp(30, 40).pixels, Box(0, 0, 30, 40), (30, 40))
    np.testing.assert_allclose(
        lesion_map.sample(Box(0, 0, 30, 40), (30, 40)), lesion_map.probability, atol=1e-6
    )


@pytest.mark.parametrize("factor", [2, 5])
def test_a_part_is_sampled_as_the_whole_is(factor: int) -> None:
    """Against OpenCV's own edge-aligned resize, which enlarges whole images only."""
    rng = np.random.default_rng(7)
    probability = rng.random((30, 40)).astype(np.float32)
    box = Box(10, 20, 10 + 30 * factor, 20 + 40 * factor)
    lesion_map = LesionMap(probability, box, (400, 400))
    whole = cv2.resize(probability, (40 * factor, 30 * factor), interpolation=cv2.INTER_LINEAR)
    part = Box(box.top + 7, box.left + 11, box.top + 27, box.left + 51)
    np.testing.assert_allclose(lesion_map.sample(part, (20, 40)), whole[7:27, 11:51], atol=0.04)
