from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.datasets import folder
from model_export.datasets.annotations import FORMATS
from model_export.datasets.sample import LesionBox, Sample
from model_export.datasets.tables import DatasetError
from model_export.phantom import breast_phantom
from tests.model_export.datasets.written import SIZE, WRITTEN, Box, Boxes
from tests.model_export.samples import disc

pytestmark = pytest.mark.unit

BOX = (20.0, 30.0, 24.0, 16.0)
OTHER = (60.0, 80.0, 10.0, 30.0)

every_format = pytest.mark.parametrize("name", WRITTEN)


def write(root: Path, boxes: Boxes, *names: str, table: str = "") -> Path:
    """Write a set of these images, or of those that the boxes name, in formats of these names."""
    (root / "images").mkdir(parents=True)
    breast = breast_phantom(max(SIZE))[:, : SIZE[0]]
    for stem in boxes:
        cv2.imwrite(str(root / "images" / f"{stem}.png"), breast)
    for name in names:
        WRITTEN[name].write(root, boxes, SIZE)
    if table:
        (root / "table.csv").write_text(table)
    return root


def read(root: Path) -> dict[str, Sample]:
    return {one.name: one for one in folder.read(root)}


def test_every_format_is_written_in_these_tests() -> None:
    assert list(WRITTEN) == list(FORMATS)


@every_format
def test_boxes_are_read_with_the_ellipse_in_each(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, {"a": [BOX, OTHER], "b": [BOX]}, name))
    both, one = found["a"], found["b"]
    assert (both.annotation, both.has_lesion, both.pathology) == ("box", True, "BENIGN")
    assert both.boxes == (pytest.approx(BOX, abs=0.01), pytest.approx(OTHER, abs=0.01))
    assert isinstance(both.boxes[0], LesionBox)
    assert one.lesion is not None and both.lesion is not None
    assert one.lesion.sum() == pytest.approx(np.pi / 4 * BOX[2] * BOX[3], rel=0.02)
    rows, columns = np.nonzero(one.lesion)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 45, 20, 43)
    assert not one.lesion[30, 20] and one.lesion[38, 32]
    assert both.lesion[95, 65] and both.lesion.sum() > one.lesion.sum()


@every_format
def test_an_image_is_normal_only_where_the_format_says_so(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, {"a": [BOX], "b": []}, name)
    if not WRITTEN[name].says_normal:
        with pytest.raises(DatasetError, match=r"^images/b\.png has neither a file in masks/ nor"):
            read(root)
        return
    normal = read(root)["b"]
    assert (normal.annotation, normal.has_lesion, normal.boxes) == ("normal", False, ())
    assert normal.lesion is not None and not normal.lesion.any()


@every_format
def test_an_image_that_no_file_names_may_be_called_normal_by_the_table(
    tmp_path: Path, name: str
) -> None:
    root = write(tmp_path, {"a": [BOX]}, name, table="name,has_lesion\na,1\nb,0\nc,1\n")
    for stem in ("b", "c"):
        cv2.imwrite(str(root / "images" / f"{stem}.png"), breast_phantom(64))
    found = read(root)
    assert [one.annotation for one in found.values()] == ["box", "normal", "image_label"]
    assert [one.has_lesion for one in found.values()] == [True, False, True]


@every_format
@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((90.0, 30.0, 10.0, 10.0), r" reaches 4 pixels out of its image, which has 96 x 128"),
        ((-3.0, 30.0, 10.0, 10.0), r" reaches 3 pixels out of its image"),
        ((20.0, 100.0, 10.0, 40.0), r" reaches 12 pixels out of its image"),
        ((20.0, -200.0, 10.0, 10.0), r" reaches 200 pixels out of its image"),
        ((20.0, 30.0, 0.0, 10.0), r": the width is 0, not above 0"),
        ((20.0, 30.0, 10.0, -4.0), r": the height is -0?[\d.]+, not above 0"),
        ((96.2, 30.0, 1.5, 10.0), r" has no area within its image"),
        ((20.0, "wide", 10.0, 10.0), r".* 'wide'.* not a number"),
        ((20.0, "nan", 10.0, 10.0), r".* 'nan'.* not a number"),
        ((20.0, "inf", 10.0, 10.0), r".* 'inf'.* not a number"),
    ],
)
def test_a_box_that_is_none_is_named_with_its_row(
    tmp_path: Path, name: str, box: Box, message: str
) -> None:
    root = write(tmp_path, {"a": [box]}, name)
    with pytest.raises(DatasetError, match=rf"^{WRITTEN[name].row}{message}"):
        read(root)


@every_format
def test_a_box_that_rounding_put_beyond_the_border_is_cut(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, {"a": [(-1.0, 100.0, 21.0, 29.5)]}, name))
    assert found["a"].boxes == (pytest.approx((0.0, 100.0, 20.0, 28.0), abs=0.01),)


@pytest.mark.parametrize("name", ["boxes.csv", "COCO"])
def test_shares_of_the_sides_are_not_taken_for_pixels(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, {"a": [(0.15, 0.2, 0.1, 0.3)]}, name)
    with pytest.raises(DatasetError, match=rf"^{WRITTEN[name].row} .* shares of the image's sides"):
        read(root)
    write(tmp_path / "edge", {"a": [(0.0, 0.0, 2.0, 1.0)]}, name)
    assert read(tmp_path / "edge")["a"].boxes == ((0.0, 0.0, 2.0, 1.0),)


@every_format
def test_the_same_box_twice_is_one_lesion(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, {"a": [BOX, BOX, OTHER]}, name))["a"]
    assert found.boxes == (pytest.approx(BOX, abs=0.01), pytest.approx(OTHER, abs=0.01))


@every_format
def test_a_box_smaller_than_a_pixel_still_marks_one(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, {"a": [(20.1, 30.1, 0.3, 0.3)]}, name))
    assert found["a"].lesion is not None
    assert np.argwhere(found["a"].lesion).tolist() == [[30, 20]]


@every_format
def test_boxes_of_an_image_that_is_not_there_are_refused(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, {"b": [OTHER], "a": [BOX]}, name)
    (root / "images" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"a.*: there is no images/a\.\*$|line 3: there is no"):
        read(root)


@every_format
@pytest.mark.parametrize(("said", "boxes"), [("0", [BOX]), ("1", [])])
def test_has_lesion_must_not_contradict_the_boxes(
    tmp_path: Path, name: str, said: str, boxes: Sequence[Box]
) -> None:
    root = write(tmp_path, {"a": boxes}, name, table=f"name,has_lesion\na,{said}\n")
    if not boxes and not WRITTEN[name].says_normal:
        assert read(root)["a"].annotation == "image_label"
        return
    with pytest.raises(DatasetError, match=r"a.* contradicts has_lesion in table\.csv|line 2 con"):
        read(root)


@every_format
def test_a_mask_beside_boxes_gives_the_outline_and_they_the_boxes(
    tmp_path: Path, name: str
) -> None:
    root = write(tmp_path, {"a": [BOX]}, name)
    (root / "masks").mkdir()
    mask = disc(128, 38, 32, 7)[:, : SIZE[0]]
    cv2.imwrite(str(root / "masks" / "a.png"), mask)
    found = read(root)["a"]
    assert (found.annotation, found.pathology) == ("pixel_mask", "BENIGN")
    assert found.boxes == (pytest.approx(BOX, abs=0.01),)
    np.testing.assert_array_equal(found.lesion, mask > 0)


@every_format
@pytest.mark.parametrize(
    ("centre", "message"),
    [
        (None, r"masks/a\.png contradicts .*: nothing is white in the box at x 20\.0, y 30\.0"),
        (
            (100, 70),
            r"masks/a\.png contradicts .*: nothing is white in the box at x 20\.0, y 30\.0",
        ),
        ((38, 32, 100, 70), r"masks/a\.png contradicts .*: the lesion around x 70\.0, y 100\.0 is"),
    ],
)
def test_a_mask_must_not_contradict_the_boxes(
    tmp_path: Path, name: str, centre: tuple[int, ...] | None, message: str
) -> None:
    root = write(tmp_path, {"a": [BOX]}, name)
    (root / "masks").mkdir()
    mask = np.zeros((128, 128), np.uint8)
    for row, column in np.reshape(centre or (), (-1, 2)).tolist():
        mask |= disc(128, row, column, 5)
    cv2.imwrite(str(root / "masks" / "a.png"), mask[:, : SIZE[0]])
    with pytest.raises(DatasetError, match=message):
        read(root)


def test_a_speck_of_the_pen_beside_the_boxes_passes(tmp_path: Path) -> None:
    root = write(tmp_path, {"a": [BOX]}, "YOLO", table="name,pixel_spacing_mm\na,0.2\n")
    (root / "masks").mkdir()
    mask = disc(128, 38, 32, 5)
    mask[100:104, 70:74] = 255
    cv2.imwrite(str(root / "masks" / "a.png"), mask[:, : SIZE[0]])
    assert read(root)["a"].annotation == "pixel_mask"
    (root / "table.csv").write_text("name,pixel_spacing_mm\na,0.3\n")
    with pytest.raises(DatasetError, match=r"around x 71\.5, y 101\.5 is in no box"):
        read(root)


def test_formats_that_agree_are_read_as_one(tmp_path: Path) -> None:
    boxes = {"a": [BOX, OTHER], "b": [OTHER]}
    root = write(tmp_path, boxes, *WRITTEN)
    found = read(root)
    assert [len(one.boxes) for one in found.values()] == [2, 1]
    assert {one.pathology for one in found.values()} == {"BENIGN"}


@pytest.mark.parametrize(
    "other", [[BOX, OTHER], [OTHER], [], [(BOX[0] + 15, BOX[1], BOX[2], BOX[3])]]
)
def test_formats_that_contradict_each_other_are_refused(tmp_path: Path, other: list[Box]) -> None:
    root = write(tmp_path, {"a": [BOX]}, "boxes.csv")
    WRITTEN["YOLO"].write(root, {"a": other}, SIZE)
    message = r"^boxes\.csv, line 2 and labels/a\.txt contradict each other: 1 and "
    with pytest.raises(DatasetError, match=message):
        read(root)


@pytest.mark.parametrize(
    ("column", "kept"),
    [("pathology", "mass"), ("label", "mass"), ("class", "mass"), ("reader", None)],
)
def test_any_label_column_of_boxes_csv_becomes_the_pathology(
    tmp_path: Path, column: str, kept: str | None
) -> None:
    root = write(tmp_path, {"a": [BOX]})
    (root / "boxes.csv").write_text(f"{column},width,height,x,y,name\nmass,24,16,20,30,a\n")
    found = read(root)["a"]
    assert (found.pathology, found.boxes) == (kept, (BOX,))


def test_labels_of_several_lesions_are_united_and_the_table_wins(tmp_path: Path) -> None:
    root = write(tmp_path, {"a": [BOX], "b": [BOX]})
    (root / "boxes.csv").write_text(
        "name,x,y,width,height,label\na,20,30,24,16,mass\na,60,80,9,9,asymmetry\n"
        "b,20,30,24,16,mass\n"
    )
    (root / "table.csv").write_text("name,pathology\nb,BENIGN\n")
    assert [one.pathology for one in read(root).values()] == ["asymmetry|mass", "BENIGN"]


def test_masks_that_nobody_drew_are_called_what_the_table_says(tmp_path: Path) -> None:
    table = "name,annotation\na,pseudo_outline\nb,pseudo_outline\n"
    root = write(tmp_path, {"a": [BOX], "b": []}, "YOLO", table=table)
    (root / "masks").mkdir()
    cv2.imwrite(str(root / "masks" / "a.png"), disc(128, 38, 32, 7)[:, : SIZE[0]])
    assert [one.annotation for one in read(root).values()] == ["pseudo_outline", "normal"]
    (root / "table.csv").write_text(table.replace("a,pseudo_outline", "a,guess"))
    with pytest.raises(DatasetError, match=r"table\.csv: annotation of images/a\.png is 'guess'"):
        read(root)


def test_boxes_csv_names_a_missing_column(tmp_path: Path) -> None:
    root = write(tmp_path, {"a": [BOX]})
    (root / "boxes.csv").write_text("name,x,y,across,down\na,1,2,3,4\n")
    with pytest.raises(DatasetError, match=r"^boxes\.csv has no column 'height', 'width'"):
        read(root)


@pytest.mark.parametrize("text", ["{}\n", "name,x,y,width,height\n{},1,2,3,4\n"])
def test_what_is_no_table_at_all_is_named(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, {"a": [BOX]})
    (root / "boxes.csv").write_text(text.format("9" * 140_000))
    with pytest.raises(DatasetError, match=r"^boxes\.csv, line \d: field larger than"):
        read(root)


def test_the_sets_own_parts_are_kept(tmp_path: Path) -> None:
    table = "name,patient,part\na,1,train\nb,2,TEST\nc,3,\n"
    root = write(tmp_path, {"a": [BOX], "b": [BOX], "c": [BOX]}, "YOLO", table=table)
    found = read(root)
    assert [one.part for one in found.values()] == ["train", "test", None]
    assert found["b"].split == "test" and found["a"].split != "test"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "name,part\na,valid\n",
            r"table\.csv: part of images/a\.png is 'valid', not train or test",
        ),
        (
            "name,patient,part\na,1,train\nb,1,test\n",
            r"table\.csv: images of patient 1 are in the parts test and train",
        ),
        (
            "name,patient,part\na,1,train\nb,1,\n",
            r"table\.csv: images of patient 1 are in the parts none and train",
        ),
        ("name,part\na,train\na,test\n", r"table\.csv, line 3: a has a row already"),
    ],
)
def test_a_patient_cannot_be_on_two_sides(tmp_path: Path, table: str, message: str) -> None:
    root = write(tmp_path, {"a": [BOX], "b": [BOX]}, "YOLO", table=table)
    with pytest.raises(DatasetError, match=message):
        read(root)


def test_images_in_folders_below_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    root = write(tmp_path, {"a": [BOX]}, "YOLO")
    (root / "images" / "train").mkdir()
    (root / "images" / "a.png").rename(root / "images" / "train" / "a.png")
    with pytest.raises(DatasetError, match=r"^images/ holds no \.dcm, .*nor are folders read"):
        read(root)
