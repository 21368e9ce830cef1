"""COCO files of a plain folder: where they are found, and how one that is none is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_export.datasets import folder
from model_export.datasets.tables import DatasetError
from tests.model_export.datasets.outlined import TRIANGLE, coco, image, only
from tests.model_export.datasets.written import write_json

pytestmark = pytest.mark.unit


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


def test_a_file_names_itself_in_an_error_without_a_path(tmp_path: Path) -> None:
    (image(tmp_path) / "annotations.json").write_text(json.dumps({"images": 1}))
    with pytest.raises(DatasetError) as caught:
        list(folder.read(tmp_path))
    assert str(tmp_path) not in str(caught.value)
