import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.datasets import folder
from model_export.datasets.annotations.drawing import fill
from model_export.datasets.sample import Sample
from model_export.datasets.tables import DatasetError
from model_export.metrics import dice
from model_export.phantom import breast_phantom
from tests.model_export.datasets.written import runs, write_json
from tests.model_export.samples import disc

pytestmark = pytest.mark.unit

SIDE = 128

TRIANGLE = [20.0, 30.0, 60.0, 30.0, 20.0, 70.0]
"""Its area is 800 pixels."""

BOX_AS_POLYGON = [20.0, 30.0, 44.0, 30.0, 44.0, 46.0, 20.0, 46.0]

PACKED = {"size": [12, 9], "counts": ">57000c0M@000GO71I"}
"""What pycocotools 2.0 packs of `UNPACKED`."""

UNPACKED = np.zeros((12, 9), np.bool_)
UNPACKED[2:7, 1:4] = UNPACKED[9:11, 5:9] = UNPACKED[0, 8] = True


def image(root: Path, name: str = "a", shape: tuple[int, int] = (SIDE, SIDE)) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    breast = breast_phantom(SIDE)[: shape[0], : shape[1]]
    cv2.imwrite(str(root / "images" / f"{name}.png"), breast)
    return root


def coco(root: Path, *annotations: dict[str, Any], shape: tuple[int, int] = (SIDE, SIDE)) -> Path:
    image(root, shape=shape)
    whole = [
        {"id": number, "image_id": 1, "category_id": 7} | one
        for number, one in enumerate(annotations, start=1)
    ]
    write_json(root, [{"id": 1, "file_name": "a.png"}], whole)
    return root


def yolo(root: Path, text: str) -> Path:
    image(root)
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text(text)
    return root


def only(root: Path) -> Sample:
    (sample,) = folder.read(root)
    assert sample.lesion is not None
    return sample


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


def test_only_the_stem_of_the_file_name_counts(tmp_path: Path) -> None:
    root = image(tmp_path)
    box = {"id": 1, "image_id": "x", "category_id": 7, "bbox": [20, 30, 24, 16]}
    write_json(root, [{"id": "x", "file_name": r"train\deep/a.jpg"}], [box])
    assert only(root).annotation == "box"


@pytest.mark.parametrize(
    "place",
    [
        "_annotations.coco.json",
        "instances_train.json",
        "annotations/instances_all.json",
        "images/_annotations.coco.json",
    ],
)
def test_coco_files_are_found_where_tools_put_them(tmp_path: Path, place: str) -> None:
    box = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [20, 30, 24, 16]}
    write_json(image(tmp_path), [{"id": 1, "file_name": "a.png"}], [box], place)
    assert only(tmp_path).annotation == "box"


def test_two_coco_files_are_read_together_and_share_no_image(tmp_path: Path) -> None:
    image(image(tmp_path), "b")
    write_json(tmp_path, [{"id": 1, "file_name": "a.png"}], [], "instances_train.json")
    write_json(tmp_path, [{"id": 1, "file_name": "b.png"}], [], "instances_test.json")
    assert [one.annotation for one in folder.read(tmp_path)] == ["normal", "normal"]
    write_json(tmp_path, [{"id": 1, "file_name": "x/b.jpg"}], [], "annotations.json")
    message = r"^instances_test\.json: image 1 \(b\.png\) and annotations\.json: image 1 .* share a"
    with pytest.raises(DatasetError, match=message):
        list(folder.read(tmp_path))


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"image_id": 9, "bbox": [1, 2, 3, 4]}, "is of image 9, which 'images' does not list"),
        ({"image_id": [1], "bbox": [1, 2, 3, 4]}, r"is of image \[1\], which"),
        ({"category_id": 8, "bbox": [1, 2, 3, 4]}, "is of category 8, which 'categories' does not"),
        ({}, "has neither a bbox nor a segmentation"),
        ({"bbox": [1, 2, 3]}, "bbox is not a list of x, y, width and height"),
        ({"bbox": "1 2 3 4"}, "bbox is not a list of"),
        ({"bbox": [1, 2, None, 4]}, "'None' is not a number"),
        ({"bbox": [1, 2, True, 4]}, "'True' is not a number"),
        ({"bbox": [1, 2, 10**400, 4]}, "'1000.*' is not a number"),
        ({"bbox": [1, 2, float("inf"), 4]}, "'inf' is not a number"),
        ({"segmentation": "text"}, "segmentation is neither a list of polygons nor run lengths"),
        ({"segmentation": [1, 2, 3, 4, 5, 6]}, "segmentation is neither a list of polygons"),
        ({"segmentation": [[1, 2, 3, 4]]}, "a polygon has 4 numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "a polygon has 7 numbers"),
        ({"segmentation": [[1, 1, 2, 1, 3, 1]]}, "has no area within its image"),
        ({"segmentation": [TRIANGLE], "bbox": [90, 90, 9, 9]}, "the box and the outline are not"),
        ({"segmentation": {"size": [12, 9], "counts": [108]}}, "the mask is not as large as its"),
        ({"segmentation": {"size": [128, 128], "counts": [128 * 128]}}, "the mask is empty"),
        (
            {"segmentation": {"size": [128, 128], "counts": [3, 4]}},
            "run lengths do not add up to 128 x 128",
        ),
        (
            {"segmentation": {"size": [128, 128], "counts": [-3, 16387]}},
            "run lengths do not add up to",
        ),
        ({"segmentation": {"size": [128, 128], "counts": None}}, "run lengths do not add up to"),
        (
            {"segmentation": {"size": [128], "counts": [3, 4]}},
            "run lengths have no size of rows and columns",
        ),
        (
            {"segmentation": {"size": [10**9, 10**9], "counts": []}},
            "run lengths have no size of rows and",
        ),
        (
            {"segmentation": {"size": [12, 9], "counts": "\u00e9"}},
            "run lengths hold '\u00e9', which packs no",
        ),
        (
            {"segmentation": {"size": [12, 9], "counts": "o" * 99}},
            "run lengths hold 'o', which packs no",
        ),
        ({"segmentation": {"size": [12, 9], "counts": "o"}}, "run lengths end within a number"),
    ],
)
def test_an_annotation_that_is_none_is_named(
    tmp_path: Path, annotation: dict[str, Any], message: str
) -> None:
    root = coco(tmp_path, {"bbox": [1, 1, 9, 9]}, annotation)
    with pytest.raises(DatasetError, match=rf"^annotations\.json: annotation 2:? {message}"):
        list(folder.read(root))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "annotations.json is not readable JSON"),
        ("[" * 100_000, "annotations.json is not readable JSON"),
        ("[]", "annotations.json is not COCO: no object with 'images'"),
        ('{"a.png123": {"regions": []}}', "is not COCO: it has no list 'images' of objects"),
        ('{"images": [], "annotations": [1]}', "it has no list 'annotations' of objects"),
        ('{"images": [{"id": 1}], "annotations": []}', "image 1 has no file_name"),
        ('{"images": [{"id": null}], "annotations": []}', "the id of an image is None, no number"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": []}', "two of the image entries have"),
    ],
)
def test_a_file_that_is_not_coco_is_named(tmp_path: Path, text: str, message: str) -> None:
    (image(tmp_path) / "annotations.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        list(folder.read(tmp_path))


def test_an_image_of_another_size_than_the_file_says_is_refused(tmp_path: Path) -> None:
    image(tmp_path)
    write_json(tmp_path, [{"id": 1, "file_name": "a.png", "width": 64, "height": 128}], [])
    message = r"image 1 \(a\.png\) has 64 x 128 pixels \(columns x rows\) there, 128 x 128 in its"
    with pytest.raises(DatasetError, match=message):
        list(folder.read(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.1\n", "line 1 has 4 numbers"),
        ("\n0 0.5 0.5 0.1 0.1 0.9\n", "line 2 has six numbers: a net's answer with its confidence"),
        ("0 .1 .1 .2 .2 .3 .3 .4\n", "line 1 has 8 numbers"),
        ("mass 0.5 0.5 0.1 0.1\n", "line 1: 'mass' is not a number"),
        ("-1 0.5 0.5 0.1 0.1\n", "line 1: the class is -1, not 0, 1, 2"),
        ("0.5 0.5 0.5 0.1 0.1\n", "line 1: the class is 0.5, not 0, 1, 2"),
        ("0 64 64 10 10\n", "line 1 reaches .* pixels out of its image"),
        ("\xff\xfe", "is not a readable text file"),
    ],
)
def test_a_yolo_line_that_is_none_is_named(tmp_path: Path, text: str, message: str) -> None:
    root = yolo(tmp_path, "")
    (root / "labels" / "a.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=rf"^labels/a\.txt,? {message}"):
        list(folder.read(root))


@pytest.mark.parametrize(
    ("file", "text", "label"),
    [
        (None, "", "class 1"),
        ("classes.txt", "benign\nmalignant\n", "malignant"),
        ("labels/classes.txt", "benign\nmalignant\n", "malignant"),
        ("data.yaml", "nc: 2\nnames: [benign, malignant]\n", "malignant"),
        ("dataset.yaml", "names:\n  0: benign\n  1: malignant\n", "malignant"),
        ("data.yaml", "nc: 2\n", "class 1"),
    ],
)
def test_yolo_classes_are_named_where_a_file_does(
    tmp_path: Path, file: str | None, text: str, label: str
) -> None:
    root = yolo(tmp_path, "1 0.5 0.5 0.1 0.1\n")
    if file is not None:
        (root / file).write_text(text)
    assert only(root).pathology == label


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("classes.txt", "benign\n", r"labels/a\.txt, line 1: class 1 has no name"),
        ("data.yaml", "names: [", r"data\.yaml is not YAML"),
        ("data.yaml", "names: 2024-99-99", r"data\.yaml is not YAML"),
        ("data.yaml", "[" * 10_000, r"data\.yaml is not YAML"),
        ("data.yaml", "names: 2", r"data\.yaml: 'names' is neither a list nor numbers with names"),
        ("labels/a.TXT", "", r"labels/a\.txt and labels/a\.TXT share a name"),
    ],
)
def test_what_contradicts_the_classes_is_named(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    root = yolo(tmp_path, "1 0.5 0.5 0.1 0.1\n")
    (root / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        list(folder.read(root))


def test_filled_outlines_have_their_own_area_wherever_they_lie() -> None:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    areas = []
    for centre in np.random.default_rng(1).uniform(15, 25, (100, 2)):
        canvas = np.zeros((40, 40), np.bool_)
        fill(canvas, centre + circle)
        areas.append(canvas.sum())
    assert np.mean(areas) == pytest.approx(25 * np.pi, rel=0.01)


def test_a_file_names_itself_in_an_error_without_a_path(tmp_path: Path) -> None:
    (image(tmp_path) / "annotations.json").write_text(json.dumps({"images": 1}))
    with pytest.raises(DatasetError) as caught:
        list(folder.read(tmp_path))
    assert str(tmp_path) not in str(caught.value)
