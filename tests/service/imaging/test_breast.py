import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.findings import breast_caveats
from service.imaging.breast import Box, Breast, find_breast

pytestmark = pytest.mark.unit


def phantom(rows: int = 800, columns: int = 600) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """A half ellipse of tissue on the left edge, in noisy air, with a bright label at the right."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:rows, :columns]
    tissue = ((y - rows / 2) / (0.4 * rows)) ** 2 + (x / (0.6 * columns)) ** 2 < 1
    pixels = rng.normal(900, 120, (rows, columns))
    pixels[tissue] += 9000 + 20000 * (1 - x[tissue] / columns)
    pixels[40:110, columns - 120 : columns - 30] = 60000
    return np.clip(pixels, 0, 65535).astype(np.uint16), tissue


def test_the_breast_is_found_and_the_label_is_not() -> None:
    pixels, tissue = phantom()
    breast = find_breast(pixels)
    found = cv2.resize(
        breast.thumbnail.astype(np.uint8), (600, 800), interpolation=cv2.INTER_NEAREST
    ).astype(np.bool_)
    assert breast.found
    assert not (tissue & ~found).any()
    assert (found & ~tissue).sum() / tissue.sum() < 0.15
    assert not found[40:110, 480:].any()


def test_a_second_breast_is_told_of_and_a_label_is_not() -> None:
    pixels, _ = phantom()
    alone = find_breast(pixels)
    assert alone.next_largest < 0.2
    assert breast_caveats(alone, 0.0) == ()
    pair = find_breast(np.hstack([pixels[:, ::-1], np.zeros_like(pixels), pixels]))
    assert pair.next_largest > 0.9
    assert [caveat.code for caveat in breast_caveats(pair, 1.0)] == [
        "several-breasts",
        "breast-saturated",
    ]


def test_the_box_holds_the_whole_breast() -> None:
    pixels, tissue = phantom()
    box = find_breast(pixels).box
    rows, columns = np.nonzero(tissue)
    assert box.top <= rows.min() and box.bottom > rows.max()
    assert box.left == 0 and columns.max() < box.right < 420


@pytest.mark.parametrize("value", [0, 1, 30000, 65535])
def test_a_flat_frame_has_no_breast_and_is_searched_whole(value: int) -> None:
    breast = find_breast(np.full((300, 200), value, np.uint16))
    assert not breast.found
    assert breast.box == Box(0, 0, 300, 200)
    assert breast.thumbnail.all()


def test_the_breast_does_not_depend_on_gain() -> None:
    pixels, _ = phantom()
    halved = find_breast((pixels // 2).astype(np.uint16))
    np.testing.assert_array_equal(halved.thumbnail, find_breast(pixels).thumbnail)


def test_a_frame_smaller_than_the_thumbnail_is_not_enlarged() -> None:
    pixels, _ = phantom(120, 90)
    assert find_breast(pixels).thumbnail.shape == (120, 90)


def test_the_region_on_a_grid_lines_up_with_the_source() -> None:
    thumbnail = np.zeros((10, 10), np.bool_)
    thumbnail[2:8, 4:9] = True
    breast = Breast(thumbnail, Box(20, 40, 80, 90), found=True)
    assert breast.on_grid((100, 100), (60, 50)).all()
    wider = Breast(thumbnail, Box(0, 0, 100, 100), found=True).on_grid((100, 100), (50, 50))
    assert np.array_equal(np.argwhere(wider)[[0, -1]], [[10, 20], [39, 44]])
    assert breast.area_pixels((100, 100)) == pytest.approx(3000)
