"""What only nets of other frameworks ask for: other tiles, another blend, the whole image."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.normalise import WholeImage, normalise_whole
from service.imaging.resample import WorkingImage
from service.imaging.stitch import WINDOWS, stitch, stitch_classes
from service.imaging.tiles import cut, even_origins, stepped_origins

pytestmark = pytest.mark.unit


def working(rows: int, columns: int) -> WorkingImage:
    values = np.random.default_rng(0).random((rows, columns)).astype(np.float32)
    breast = np.ones((rows, columns), np.bool_)
    return WorkingImage(values, breast, Box(0, 0, rows, columns), (rows, columns))


@pytest.mark.parametrize(
    ("length", "side", "stride", "even", "stepped"),
    [
        (110, 64, 32, [0, 23, 46], [0, 32, 46]),
        (64, 64, 32, [0], [0]),
        (128, 64, 32, [0, 32, 64], [0, 32, 64]),
        (50, 64, 32, [-7], [-7]),
        (51, 64, 32, [-6], [-6]),
        (129, 64, 48, [0, 32, 65], [0, 48, 65]),
    ],
)
def test_tiles_lie_where_nnunet_and_monai_put_them(
    length: int, side: int, stride: int, even: list[int], stepped: list[int]
) -> None:
    assert even_origins(length, side, stride) == even
    assert stepped_origins(length, side, stride) == stepped


@pytest.mark.parametrize("blend", sorted(WINDOWS))
@pytest.mark.parametrize("shape", [(150, 90), (40, 90), (40, 30)])
def test_what_is_cut_comes_back_where_it_was(blend: Any, shape: tuple[int, int]) -> None:
    image = working(*shape)
    tiles = cut(image, shapes=[(64, 48)], stride=(32, 24), placement="even")
    assert {tile.pixels.shape for tile in tiles} == {(64, 48)}
    lesion_map = stitch(image, tiles, [tile.pixels for tile in tiles], blend)
    np.testing.assert_allclose(lesion_map.probability, image.pixels, atol=1e-5)


def test_a_map_that_is_not_blanked_keeps_what_lies_outside_of_the_breast() -> None:
    image = working(64, 48)
    image.breast[:, 24:] = False
    tiles = cut(image, shapes=[(64, 48)], stride=(32, 24), placement="even")
    maps = [tile.pixels for tile in tiles]
    assert not stitch(image, tiles, maps).probability[:, 24:].any()
    whole = stitch(image, tiles, maps, blank=False).probability
    np.testing.assert_array_equal(whole, image.pixels)


def test_blended_logarithms_are_the_softmax_of_blended_logits() -> None:
    image = working(96, 48)
    tiles = cut(image, shapes=[(64, 48)], stride=(32, 24), placement="even")
    rng = np.random.default_rng(1)
    logits = [rng.normal(size=(3, 64, 48)) for _ in tiles]

    def softmax(values: NDArray[np.float64]) -> NDArray[np.float32]:
        powers = np.exp(values)
        return (powers / powers.sum(axis=0)).astype(np.float32)

    blended = stitch_classes(
        image, tiles, [softmax(one) for one in logits], blend="constant", logarithms=True
    )
    # Both tiles cover the middle.
    mean = (logits[0][:, 32:] + logits[1][:, :32]) / 2
    np.testing.assert_allclose(blended[:, 32:64], softmax(mean), atol=1e-5)


def test_statistics_are_of_the_whole_image() -> None:
    pixels = np.zeros((20, 10), np.uint16)
    pixels[:10] = np.arange(1, 11, dtype=np.uint16) * 5000
    values = pixels / 65535

    def made(**spec: Any) -> NDArray[np.float32]:
        return normalise_whole(pixels, pixels, WholeImage(**spec))

    np.testing.assert_allclose(made(kind="display"), values, rtol=1e-5)
    wanted = (values - values.mean()) / values.std()
    np.testing.assert_allclose(made(kind="z_score"), wanted, atol=1e-4)
    np.testing.assert_allclose(made(kind="min_max"), values / values.max(), atol=1e-5)
    inside = values[:10]
    masked = made(kind="z_score", over="nonzero")
    np.testing.assert_allclose(masked[:10], (inside - inside.mean()) / inside.std(), atol=1e-4)
    assert not masked[10:].any()


@pytest.mark.parametrize("kind", ["z_score", "min_max"])
def test_a_flat_image_is_no_number_beyond_bounds(kind: Any) -> None:
    flat = np.full((4, 4), 7, np.uint16)
    assert np.abs(normalise_whole(flat, flat, WholeImage(kind=kind))).max() < 1e-2


def test_a_statistic_may_be_of_the_image_as_it_came() -> None:
    source = np.random.default_rng(0).integers(1, 60000, (40, 40)).astype(np.uint16)
    pixels = np.ascontiguousarray(source[::2, ::2])
    own = normalise_whole(pixels, source, WholeImage(kind="z_score", taken="source"))
    wanted = (pixels.astype(np.float64) - source.mean()) / source.std()
    np.testing.assert_allclose(own, wanted, atol=1e-3)


@pytest.mark.parametrize("logarithms", [True, False])
def test_where_no_tile_lies_there_is_no_lesion(logarithms: bool) -> None:
    image = working(96, 96)
    tiles = cut(image, shapes=[(64, 48)], stride=(32, 48), placement="even")
    left = [tile for tile in tiles if tile.column == 0]
    assert len(left) < len(tiles)
    answer = np.full((2, 64, 48), 0.5, np.float32)
    blended = stitch_classes(
        image, left, [answer] * len(left), blend="constant", logarithms=logarithms
    )
    np.testing.assert_allclose(blended[:, :, :48], 0.5, atol=1e-6)
    assert not blended[:, :, 48:].any()
