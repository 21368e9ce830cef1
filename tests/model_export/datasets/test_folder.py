from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.datasets import folder, read_source, sources_in
from model_export.datasets.tables import DatasetError
from model_export.phantom import breast_phantom
from tests.dicom_files import dicom_file, phantom
from tests.model_export.samples import disc, write_all

pytestmark = pytest.mark.unit

TABLE = """name,patient,pixel_spacing_mm,laterality,view,has_lesion,density,manufacturer
a,7,0.1,L,CC,1,B,GE
b,7,0.1,right,MLO,,,
c,8,,,,0,,
d,9,,,,yes,,
"""


def write(root: Path, table: str = TABLE) -> Path:
    """Write a set of four images in four formats; `c` and `d` have no mask."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    breast = breast_phantom(128)
    cv2.imwrite(str(root / "images" / "a.png"), breast)
    cv2.imwrite(str(root / "images" / "b.JPG"), breast)
    cv2.imwrite(str(root / "images" / "c.tif"), breast.astype(np.uint16) * 257)
    film = dicom_file(
        phantom(rows=160, columns=96), PixelSpacing=[0.3, 0.2], Manufacturer="HOLOGIC"
    )
    (root / "images" / "d.dcm").write_bytes(film)
    (root / "images" / "notes.txt").write_text("not an image")
    cv2.imwrite(str(root / "masks" / "a.png"), disc(128, 40, 30, 9) // 255)
    cv2.imwrite(str(root / "masks" / "b.png"), disc(128, 40, 30, 0) * 0)
    if table:
        (root / "table.csv").write_text(table)
    return root


def test_every_format_is_read_with_what_the_table_says(tmp_path: Path) -> None:
    root = write(tmp_path / "my-set")
    a, b, c, d = read_source(tmp_path, "my-set")
    assert [one.source for one in (a, b, c, d)] == ["my-set"] * 4
    assert [one.patient for one in (a, b, c, d)] == ["7", "7", "8", "9"]
    assert [one.annotation for one in (a, b, c, d)] == [
        "pixel_mask",
        "normal",
        "image_label",
        "image_label",
    ]
    assert [one.has_lesion for one in (a, b, c, d)] == [True, False, False, True]
    assert a.lesion is not None and a.lesion.sum() == (disc(128, 40, 30, 9) > 0).sum()
    assert (a.pixel_spacing_mm, a.laterality, a.density) == ((0.1, 0.1), "L", "B")
    assert (b.laterality, b.view_position, a.manufacturer) == ("R", "MLO", "GE")
    assert c.pixel_spacing_mm == (240 / 128, 240 / 128)
    assert (d.pixel_spacing_mm, d.manufacturer) == ((0.3, 0.2), "HOLOGIC")
    np.testing.assert_array_equal(a.pixels, breast_phantom(128).astype(np.uint16) * 257)
    np.testing.assert_array_equal(c.pixels, a.pixels)
    assert root.name == "my-set"


def test_without_a_table_every_image_is_a_patient_and_needs_a_mask(tmp_path: Path) -> None:
    root = write(tmp_path, table="")
    with pytest.raises(DatasetError, match=r"images/c\.tif has neither a file in masks/"):
        list(folder.read(root))
    for name in ("c.tif", "d.dcm"):
        (root / "images" / name).unlink()
    assert [one.patient for one in folder.read(root)] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("B,GE", "B,GE\nz,1,,,,1,,", r"images/z\.\*"),
        ("CC,1", "CC,0", r"masks/a\.png contradicts has_lesion"),
        ("yes", "maybe", r"has_lesion of images/d\.dcm is 'maybe'"),
        ("a,7,0.1", "a,7,wide", r"table\.csv: 'pixel_spacing_mm' is 'wide'"),
        ("a,7,0.1", "a,7,nan", r"table\.csv: 'pixel_spacing_mm' is 'nan', not a number"),
        ("a,7,0.1", "a,7,inf", r"table\.csv: 'pixel_spacing_mm' is 'inf', not a number"),
        ("a,7,0.1", "a,7,-1", r"pixel_spacing_mm of a is not above 0"),
        ("right", "up", r"laterality of images/b\.JPG is 'UP'"),
        ("name,", "stem,", r"table\.csv has no column 'name'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    root = write(tmp_path, TABLE.replace(old, new))
    with pytest.raises(DatasetError, match=message):
        list(folder.read(root))


def test_a_mask_must_have_the_size_of_its_image(tmp_path: Path) -> None:
    root = write(tmp_path)
    cv2.imwrite(str(root / "masks" / "a.png"), disc(64, 20, 20, 5))
    with pytest.raises(DatasetError, match=r"masks/a\.png is \(64, 64\), its image \(128, 128\)"):
        list(folder.read(root))


def test_a_black_jpeg_mask_holds_no_lesion_and_16_bits_are_kept(tmp_path: Path) -> None:
    root = write(tmp_path, TABLE.replace("CC,1", "CC,").replace("0,,\n", ",,\n"))
    specks = np.zeros((128, 128), np.uint8)
    specks[8:16, 8:16] = 3
    (root / "masks" / "a.png").unlink()
    cv2.imwrite(str(root / "masks" / "a.jpg"), specks)
    cv2.imwrite(str(root / "masks" / "c.png"), (disc(128, 50, 50, 4) // 255).astype(np.uint16))
    a, _, c, _ = folder.read(root)
    assert (a.annotation, c.annotation) == ("normal", "pixel_mask")


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path)
    cv2.imwrite(str(root / "images" / "a.jpg"), breast_phantom(64))
    with pytest.raises(DatasetError, match=r"images/a\.png and images/a\.jpg share a name"):
        list(folder.read(root))


def test_a_broken_image_is_named_and_never_guessed(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "images" / "c.tif").write_bytes(b"II*\0broken")
    with pytest.raises(DatasetError, match=r"^images/c\.tif: "):
        list(folder.read(root))


def test_a_source_is_known_by_its_name_or_its_layout(tmp_path: Path) -> None:
    write_all(tmp_path)
    write(tmp_path / "my-set")
    (tmp_path / "papers").mkdir()
    assert sources_in(tmp_path) == ["cdd-cesm", "mini-mias", "my-set", "rsna-640"]
    with pytest.raises(DatasetError, match="papers/ is none of cbis-ddsm, "):
        read_source(tmp_path, "papers")
    with pytest.raises(DatasetError, match="no folder nowhere/"):
        read_source(tmp_path, "nowhere")
