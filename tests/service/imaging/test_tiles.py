from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from service.imaging.breast import Box
from service.imaging.resample import WorkingImage
from service.imaging.tiles import GRID, cut, fitting, origins

pytestmark = pytest.mark.unit


def working_image(rows: int, columns: int) -> WorkingImage:
    pixels = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    return WorkingImage(
        pixels, np.ones((rows, columns), np.bool_), Box(0, 0, rows, columns), (rows, columns)
    )


@pytest.mark.parametrize("length", [1, 63, 64, 65, 96, 127, 128, 129, 500, 1001])
def test_origins_cover_every_pixel_on_the_grid(length: int) -> None:
    starts = origins(length, side=64, stride=32)
    assert starts[0] == 0
    assert starts[-1] + 64 >= length
    assert all(start % GRID == 0 for start in starts)
    assert all(0 < later - start <= 64 for start, later in pairwise(starts))


def test_a_breast_narrower_than_a_tile_is_one_column() -> None:
    assert origins(580, side=640, stride=512) == [0]


def test_no_more_origins_than_needed() -> None:
    assert len(origins(1200, side=640, stride=640)) == 2
    assert origins(1152, side=640, stride=512) == [0, 512]


def test_steps_never_exceed_the_stride() -> None:
    for length in range(640, 3000, 37):
        starts = origins(length, side=640, stride=512)
        assert all(b - a <= 512 for a, b in pairwise(starts)), length


def test_tiles_hold_the_pixels_at_their_origin_and_air_beyond() -> None:
    image = working_image(70, 100)
    for tile in cut(image, shapes=[(64, 64)], stride=32):
        part = image.pixels[tile.row : tile.row + 64, tile.column : tile.column + 64]
        assert np.array_equal(tile.pixels[: part.shape[0], : part.shape[1]], part)
        assert not tile.pixels[part.shape[0] :].any()
        assert not tile.pixels[:, part.shape[1] :].any()
        assert tile.pixels.shape == (64, 64)
        assert tile.pixels.flags.c_contiguous


def test_tiles_without_breast_are_not_cut() -> None:
    image = working_image(192, 64)
    image.breast[64:] = False
    assert [tile.row for tile in cut(image, shapes=[(64, 64)], stride=64)] == [0]


def test_a_breast_that_may_stay_whole_is_one_tile_of_its_own_shape() -> None:
    image = working_image(170, 130)
    given: dict[str, Any] = {"shapes": [(64, 64)], "stride": 32}
    (tile,) = cut(image, **given, whole_pixels=192 * 160)
    assert (tile.row, tile.column, tile.pixels.shape) == (0, 0, (192, 160))
    assert np.array_equal(tile.pixels[:170, :130], image.pixels)
    assert not tile.pixels[170:].any() and not tile.pixels[:, 130:].any()
    smaller = cut(image, **given, whole_pixels=192 * 160 - 1)
    assert {one.pixels.shape for one in smaller} == {(64, 64)}


def test_what_stays_whole_is_never_so_small_that_a_net_has_nothing_to_pool() -> None:
    for box in ((1, 1), (31, 90), (128, 3)):
        (tile,) = cut(working_image(*box), shapes=[(640, 640)], stride=512, whole_pixels=640**2)
        assert tile.pixels.shape == (128, 128)


SHAPES = [(64, 32), (96, 32), (96, 64), (96, 96)]


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((1, 1), (64, 32)),
        ((64, 32), (64, 32)),
        ((65, 32), (96, 32)),
        ((64, 33), (96, 64)),
        ((30, 90), (96, 96)),
        ((500, 20), (96, 32)),
        ((500, 500), (96, 96)),
    ],
)
def test_a_tile_is_as_small_as_the_breast_allows(
    box: tuple[int, int], shape: tuple[int, int]
) -> None:
    assert fitting(SHAPES, box) == shape


@pytest.mark.parametrize("box", [(40, 20), (90, 33), (200, 40), (70, 300), (131, 257)])
def test_smaller_shapes_make_no_more_tiles_and_cover_all(box: tuple[int, int]) -> None:
    image = working_image(*box)
    tiles = cut(image, shapes=SHAPES, stride=64)
    assert len(tiles) == len(cut(image, shapes=SHAPES[-1:], stride=64))
    seen = np.zeros(box, np.bool_)
    for tile in tiles:
        rows, columns = tile.pixels.shape
        assert tile.row % GRID == tile.column % GRID == 0
        part = np.s_[tile.row : tile.row + rows, tile.column : tile.column + columns]
        seen[part] = True
        inside = image.pixels[part]
        assert np.array_equal(tile.pixels[: inside.shape[0], : inside.shape[1]], inside)
    assert seen.all()
