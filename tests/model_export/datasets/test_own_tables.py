"""Columns of one's own tables: none is passed over in silence where it may have been meant."""

from pathlib import Path

import cv2
import pytest

from model_export.datasets import DatasetError, read_source
from model_export.datasets.remarks import remarks_on
from model_export.phantom import breast_phantom
from tests.model_export.samples import disc

pytestmark = pytest.mark.integration


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Write `own` with two images and their masks."""
    own = tmp_path / "own"
    for part in ("images", "masks"):
        (own / part).mkdir(parents=True)
    for name in "ab":
        cv2.imwrite(str(own / "images" / f"{name}.png"), breast_phantom(128))
        cv2.imwrite(str(own / "masks" / f"{name}.png"), disc(128, 46, 28, 8))
    return own


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("patient_id", "patient"),
        ("Patient ID", "patient"),
        ("patients", "patient"),
        ("Subject", "patient"),
        ("split", "part"),
        ("spacing", "pixel_spacing_mm"),
        ("Pixel Spacing (mm)", "pixel_spacing_mm"),
        ("side", "laterality"),
        ("ViewPosition", "view"),
        ("haslesion", "has_lesion"),
    ],
)
def test_a_column_that_is_called_nearly_as_one_that_is_read_is_asked_about(
    given: str, meant: str, own: Path
) -> None:
    (own / "table.csv").write_text(f"name,{given}\na,1\nb,1\n")
    with pytest.raises(DatasetError, match=f"is '{meant}' meant"):
        list(read_source(own.parent, "own"))


def test_a_heading_s_large_letters_are_small_ones(own: Path) -> None:
    (own / "table.csv").write_text("Name, Patient ,PART,Pixel_Spacing_mm\na,P7,test,0.2\n")
    first, _ = read_source(own.parent, "own")
    assert (first.patient, first.part, first.pixel_spacing_mm) == ("P7", "test", (0.2, 0.2))


@pytest.mark.parametrize("twice", ["patient,patient", "patient,Patient", "age,age"])
def test_a_column_that_stands_there_twice_is_refused(twice: str, own: Path) -> None:
    (own / "table.csv").write_text(f"name,{twice}\na,P7,P8\n")
    with pytest.raises(DatasetError, match=r"table\.csv has the column '\w+' twice"):
        list(read_source(own.parent, "own"))


def test_what_nothing_reads_is_told_once_and_may_be_there(own: Path) -> None:
    (own / "table.csv").write_text(
        "name,patient,Annotator,patient_age,patient_id,,\na,1,X,50,2,,\n"
    )
    (own / "boxes.csv").write_text("name,x,y,width,height,Reader\n")
    assert len(list(read_source(own.parent, "own"))) == 2
    table, boxes, *_ = remarks_on(own)
    assert table == "own: of table.csv, nothing reads Annotator, patient_age, patient_id."
    assert boxes == "own: of boxes.csv, nothing reads Reader."


def test_boxes_with_corners_for_sizes_are_asked_about(own: Path) -> None:
    (own / "boxes.csv").write_text("image,xmin,ymin,xmax,ymax\na,1,2,3,4\n")
    with pytest.raises(DatasetError, match=r"boxes\.csv has no column 'name', but 'image'"):
        list(read_source(own.parent, "own"))
    (own / "boxes.csv").write_text("Name,X,Y,Width,Height\na,40,20,16,16\n")
    (own / "masks" / "a.png").unlink()
    assert next(iter(read_source(own.parent, "own"))).boxes[0].width == 16


def test_it_is_told_of_how_many_images_nobody_says_whose_they_are(own: Path) -> None:
    assert "nothing says whose 2 of its 2 images are" in remarks_on(own)[0]
    (own / "table.csv").write_text("name,patient\na,P1\n")
    assert "nothing says whose 1 of its 2 images are" in remarks_on(own)[0]
    (own / "table.csv").write_text("name,patient\na,P1\nb,P2\n")
    assert remarks_on(own) == []
