"""Outlines of lesions in a plain folder, as polygons and as run lengths."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.datasets.annotations.drawing import fill
from model_export.metrics import dice
from tests.model_export.datasets.outlined import SIDE, TRIANGLE, coco, only, yolo
from tests.model_export.datasets.written import runs
from tests.model_export.samples import disc

pytestmark = pytest.mark.unit

BOX_AS_POLYGON = [20.0, 30.0, 44.0, 30.0, 44.0, 46.0, 20.0, 46.0]

PACKED = {"size": [12, 9], "counts": ">57000c0M@000GO71I"}
"""What pycocotools 2.0 packs of `UNPACKED`."""

UNPACKED = np.zeros((12, 9), np.bool_)
UNPACKED[2:7, 1:4] = UNPACKED[9:11, 5:9] = UNPACKED[0, 8] = True


def as_yolo(corners: list[float]) -> str:
    return f"0 {' '.join(f'{one / SIDE:.6f}' for one in corners)}\n"


def triangle() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    inside: NDArray[np.bool_] = (rows > 30) & (columns > 20) & (rows - 30 + columns - 20 < 40)
    return inside


def test_polygons_are_outlines(tmp_path: Path) -> None:
    for root in (
        coco(tmp_path / "coco", {"segmentation": [TRIANGLE], "bbox": [20, 30, 40, 40]}),
        yolo(tmp_path / "yolo", as_yolo(TRIANGLE)),
    ):
        found = only(root)
        assert found.annotation == "pixel_mask"
        assert found.boxes == (pytest.approx((20, 30, 40, 40), abs=0.01),)
        assert found.lesion is not None
        assert dice(found.lesion, triangle()) > 0.97


def test_the_parts_of_a_polygon_are_one_lesion(tmp_path: Path) -> None:
    other = [[one + 50 for one in TRIANGLE]]
    found = only(coco(tmp_path, {"segmentation": [TRIANGLE, *other]}))
    assert found.boxes == ((20, 30, 90, 90),)
    assert found.lesion is not None and found.lesion[35, 25] and found.lesion[85, 75]


def test_run_lengths_are_outlines_packed_or_not(tmp_path: Path) -> None:
    for number, segmentation in enumerate((PACKED, runs(UNPACKED))):
        root = coco(tmp_path / str(number), {"segmentation": segmentation}, shape=(12, 9))
        found = only(root)
        np.testing.assert_array_equal(found.lesion, UNPACKED)
        assert found.annotation == "pixel_mask"
        assert found.boxes == ((1, 0, 8, 11),)


def test_a_long_run_is_unpacked(tmp_path: Path) -> None:
    mask = disc(SIDE, 60, 40, 20) > 0
    found = only(coco(tmp_path, {"segmentation": runs(mask), "bbox": [20, 40, 41, 41]}))
    np.testing.assert_array_equal(found.lesion, mask)
    assert found.boxes == ((20, 40, 41, 41),)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_a_polygon_that_is_a_box_is_a_box(tmp_path: Path, closed: bool, turned: bool) -> None:
    corners = np.reshape(BOX_AS_POLYGON, (-1, 2))
    if turned:
        angle = np.radians(30)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = (corners - (32, 38)) @ turn + (32, 38)
    if closed:
        corners = np.concatenate([corners, corners[:1]])
    points = corners.ravel().tolist()
    for root in (
        coco(tmp_path / "coco", {"segmentation": [points]}),
        yolo(tmp_path / "yolo", as_yolo(points)),
    ):
        found = only(root)
        assert found.annotation == "box"
        assert found.lesion is not None
        assert found.lesion.sum() == pytest.approx(np.pi / 4 * 24 * 16, rel=0.02)


def test_a_turned_box_that_is_cut_at_the_border_stays_a_box(tmp_path: Path) -> None:
    corners = [10.0, -1.5, 30.0, 18.5, 20.0, 28.5, 0.0, 8.5]
    found = only(coco(tmp_path, {"segmentation": [corners]}))
    assert found.annotation == "box"


def test_one_lesion_without_an_outline_makes_the_image_one_of_boxes(tmp_path: Path) -> None:
    outline, box = {"segmentation": [TRIANGLE]}, {"bbox": [80, 80, 20, 20], "segmentation": []}
    found = only(coco(tmp_path, outline, box))
    assert (found.annotation, len(found.boxes)) == ("box", 2)
    assert found.lesion is not None and found.lesion[35, 25] and found.lesion[90, 90]


def test_an_outline_is_taken_before_a_box_of_another_format(tmp_path: Path) -> None:
    root = coco(tmp_path, {"segmentation": [TRIANGLE]})
    (root / "boxes.csv").write_text("name,x,y,width,height,pathology\na,20,30,40,40,MALIGNANT\n")
    found = only(root)
    assert (found.annotation, found.pathology) == ("pixel_mask", "BENIGN|MALIGNANT")


def test_filled_outlines_have_their_own_area_wherever_they_lie() -> None:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    areas = []
    for centre in np.random.default_rng(1).uniform(15, 25, (100, 2)):
        canvas = np.zeros((40, 40), np.bool_)
        fill(canvas, centre + circle)
        areas.append(canvas.sum())
    assert np.mean(areas) == pytest.approx(25 * np.pi, rel=0.01)
