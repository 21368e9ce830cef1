from itertools import pairwise

import numpy as np
import pytest

from service.imaging.breast import Box
from service.imaging.resample import WorkingImage
from service.imaging.tiles import GRID, cut, origins

pytestmark = pytest.mark.unit


def working_image(rows: int, columns: int) -> WorkingImage:
    pixels = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    return WorkingImage(
        pixels, np.ones((rows, columns), np.bool_), Box(0, 0, rows, columns), (rows, columns)
    )


@pytest.mark.parametrize("length", [1, 63, 64, 65, 96, 127, 128, 129, 500, 1001])
def test_origins_cover_every_pixel_on_the_grid(length: int) -> None:
    starts = origins(length, tile_size=64, stride=32)
    assert starts[0] == 0
    assert starts[-1] + 64 >= length
    assert all(start % GRID == 0 for start in starts)
    assert all(0 < later - start <= 64 for start, later in pairwise(starts))


def test_a_breast_narrower_than_a_tile_is_one_column() -> None:
    assert origins(580, tile_size=640, stride=512) == [0]


def test_no_more_origins_than_needed() -> None:
    assert len(origins(1200, tile_size=640, stride=640)) == 2
    assert origins(1152, tile_size=640, stride=512) == [0, 512]


def test_steps_never_exceed_the_stride() -> None:
    for length in range(640, 3000, 37):
        starts = origins(length, tile_size=640, stride=512)
        assert all(b - a <= 512 for a, b in pairwise(starts)), length


def test_tiles_hold_the_pixels_at_their_origin_and_air_beyond() -> None:
    image = working_image(70, 100)
    for tile in cut(image, tile_size=64, stride=32):
        part = image.pixels[tile.row : tile.row + 64, tile.column : tile.column + 64]
        assert np.array_equal(tile.pixels[: part.shape[0], : part.shape[1]], part)
        assert not tile.pixels[part.shape[0] :].any()
        assert not tile.pixels[:, part.shape[1] :].any()
        assert tile.pixels.shape == (64, 64)
        assert tile.pixels.flags.c_contiguous


def test_tiles_without_breast_are_not_cut() -> None:
    image = working_image(192, 64)
    image.breast[64:] = False
    assert [tile.row for tile in cut(image, tile_size=64, stride=64)] == [0]
