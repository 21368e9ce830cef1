from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model_export.datasets.images import read_grey
from model_export.datasets.mask_file import read_mask
from model_export.datasets.tables import DatasetError

pytestmark = pytest.mark.unit

FIRST = np.zeros((128, 128), np.bool_)
FIRST[20:50, 20:45] = True
SECOND = np.zeros_like(FIRST)
SECOND[70:90, 60:95] = True
BOTH = FIRST | SECOND

Values = NDArray[np.integer]


def read(folder: Path, values: Values, name: str = "a.png") -> NDArray[np.bool_]:
    cv2.imwrite(str(folder / name), values)
    return read_mask(folder, name)


def grey(first: int, second: int, kind: type[np.integer] = np.uint8) -> Values:
    return (FIRST * first + SECOND * second).astype(kind)


def coloured(first: tuple[int, int, int], second: tuple[int, int, int]) -> Values:
    values = np.zeros((*BOTH.shape, 3), np.uint8)
    values[FIRST], values[SECOND] = first, second
    return values


@pytest.mark.parametrize(
    "values",
    [
        grey(1, 1),
        grey(255, 255),
        grey(1, 2),
        grey(1, 3),
        grey(127, 255),
        grey(1, 255),
        grey(65535, 65535, np.uint16),
        grey(1001, 1002, np.uint16),
        grey(1000, 3000, np.uint16),
        coloured((0, 0, 255), (0, 255, 0)),
        coloured((255, 0, 0), (255, 255, 255)),
        coloured((128, 0, 0), (0, 128, 0)),
    ],
)
def test_every_label_is_lesion_in_grey_and_in_colours(values: Values, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, values), BOTH)


def test_forty_instances_are_forty_lesions(tmp_path: Path) -> None:
    values = np.zeros((128, 128), np.uint8)
    for number in range(40):
        row, column = divmod(number, 8)
        values[row * 20 : row * 20 + 10, column * 15 : column * 15 + 10] = number + 1
    np.testing.assert_array_equal(read(tmp_path, values), values > 0)


def test_a_palette_is_read_by_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(grey(1, 2), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path, "a.png"), BOTH)


@pytest.mark.parametrize("side", [50, 64, 96])
def test_borders_that_a_resampling_softened_stay_where_they_were(side: int, tmp_path: Path) -> None:
    large = cv2.resize(grey(255, 255), (512, 512), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(read(tmp_path, small), small > 127)


def test_the_specks_and_blurs_of_a_jpeg_are_no_lesions_even_in_a_png(tmp_path: Path) -> None:
    found = read(tmp_path, grey(255, 255), "a.jpg")
    assert (found != BOTH).mean() < 0.001
    blurred = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_GRAYSCALE)
    assert len(np.unique(blurred)) > 3
    np.testing.assert_array_equal(read(tmp_path, blurred), found)
    assert not read(tmp_path, grey(3, 2), "b.jpg").any()


@pytest.mark.parametrize("colour", [0, 255])
def test_what_is_opaque_is_lesion_where_all_colours_are_one(colour: int, tmp_path: Path) -> None:
    values = np.full((*BOTH.shape, 4), colour, np.uint8)
    values[..., 3] = BOTH * 255
    np.testing.assert_array_equal(read(tmp_path, values), BOTH)


def test_a_lesion_painted_on_a_transparent_ground_is_found(tmp_path: Path) -> None:
    values = np.full((*BOTH.shape, 4), 255, np.uint8)
    values[BOTH] = (0, 0, 255, 255)
    values[~BOTH, 3] = 0
    np.testing.assert_array_equal(read(tmp_path, values), BOTH)


def unlike() -> Values:
    values = np.zeros((*BOTH.shape, 4), np.uint8)
    values[FIRST, :3] = 255
    values[BOTH, 3] = 255
    return values


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.png", lambda: 255 - grey(255, 255), r"a\.png is white on 9.% of its frame: inverted"),
        ("a.png", lambda: 1 - grey(1, 1), r"a\.png is white on 9.% of its frame: inverted"),
        ("a.png", unlike, r"a\.png says one thing by its colours and another by what is transp"),
        ("a.jpg", lambda: grey(110, 255), r"a\.jpg is grey around x 32, y 3., neither"),
        ("a.tif", lambda: BOTH.astype(np.float32), r"a\.tif is not a readable mask of 8 or 16"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused_by_name(
    name: str, make: Callable[[], Values], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, make(), name)


@pytest.mark.parametrize(("name", "form"), [("a.tif", "TIFF"), ("a.png", "PNG")])
def test_a_file_of_several_pages_is_refused_by_its_name(
    name: str, form: str, tmp_path: Path
) -> None:
    pages = [Image.fromarray(grey(first, second)) for first, second in ((0, 0), (255, 255))]
    pages[0].save(tmp_path / name, form, save_all=True, append_images=pages[1:])
    for reader in (read_mask, read_grey):
        with pytest.raises(DatasetError, match=r"a\.\w+ holds several pages"):
            reader(tmp_path, name)


def test_a_page_of_reduced_size_is_none(tmp_path: Path) -> None:
    whole, small = Image.fromarray(grey(255, 255)), Image.fromarray(grey(255, 255)[::4, ::4])
    # NewSubfileType 1: a reduced version of another image in the file.
    small.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert cv2.imcount(str(tmp_path / "a.tif")) == 2
    np.testing.assert_array_equal(read_mask(tmp_path, "a.tif"), BOTH)
