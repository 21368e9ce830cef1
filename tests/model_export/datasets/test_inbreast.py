"""A small copy of the release: DICOM files, OsiriX property lists and the table."""

import plistlib
from pathlib import Path

import numpy as np
import pytest

from model_export.datasets import inbreast
from model_export.datasets.sample import Sample
from model_export.datasets.tables import DatasetError
from tests.dicom_files import dicom_file, phantom

pytestmark = pytest.mark.integration

TABLE = """Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads
removed;removed;R;CC;200902;20586908;2;5
removed;removed;L;CC;200902;20586934;2;1
removed;removed;R;MLO;200902;20586960;2;4a
removed;removed;L;MLO;201001;53582540;                ;2
"""
NAMES = (
    "20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm",
    "20586934_6c613a14b80a8591_MG_L_CC_ANON.dcm",
    "20586960_6c613a14b80a8591_MG_R_ML_ANON.dcm",
    "53582540_3f22cdda8da215e3_MG_L_ML_ANON.dcm",
)


def region(name: str, *points: tuple[float, float]) -> dict[str, object]:
    """Return a region of interest with the keys that OsiriX exports."""
    return {
        "Area": 0.0,
        "Center": "(0.000000, 0.000000, 0.000000)",
        "Dev": 0.0,
        "IndexInImage": 0,
        "Max": 0.0,
        "Mean": 0.0,
        "Min": 0.0,
        "Name": name,
        "NumberOfPoints": len(points),
        "Point_mm": [f"({x * 0.07:f}, {y * 0.07:f}, 0.000000)" for x, y in points],
        "Point_px": [f"({x:f}, {y:f})" for x, y in points],
        "Total": 0.0,
        "Type": 15,
    }


def write(folder: Path) -> None:
    for part in ("AllDICOMs", "AllXML"):
        (folder / part).mkdir(parents=True)
    (folder / "INbreast.csv").write_text(TABLE)
    film = dicom_file(
        phantom(14, rows=160, columns=120),
        bits_stored=14,
        ImagerPixelSpacing=[0.07, 0.07],
        Manufacturer="SIEMENS",
    )
    for name in NAMES:
        (folder / "AllDICOMs" / name).write_bytes(film)
    findings = [
        region("Spiculated Region", (20.4, 30.0), (60.0, 30.0), (60.0, 70.2), (20.0, 70.0)),
        region("Calcification", (90.0, 100.0)),
        region("Point 1", (30.0, 130.0), (30.0, 130.0)),
        region("Pectoral Muscle", (0.0, 0.0), (119.0, 0.0), (0.0, 159.0)),
    ]
    for number, rois in (("20586908", findings), ("53582540", [])):
        exported = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}
        (folder / "AllXML" / f"{number}.xml").write_bytes(plistlib.dumps(exported))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("inbreast")
    write(folder)
    return list(inbreast.read(folder))


def test_header_table_and_file_name_say_whose_it_is(samples: list[Sample]) -> None:
    first, last = samples[0], samples[-1]
    assert (first.name, first.patient) == ("20586908", "6c613a14b80a8591")
    assert (first.laterality, first.view_position, first.density) == ("R", "CC", "2")
    assert (first.pixel_spacing_mm, first.manufacturer) == ((0.07, 0.07), "SIEMENS")
    assert first.intent == "presentation"
    # The file name says ML, the table MLO; one real row has blanks for a density.
    assert (last.patient, last.view_position, last.density) == ("3f22cdda8da215e3", "MLO", None)


def test_outlines_are_filled_and_points_become_discs(samples: list[Sample]) -> None:
    lesion = samples[0].lesion
    assert lesion is not None
    assert lesion[30:71, 20:61].all() and not lesion[50, 62:].any()
    radius = round(inbreast.POINT_RADIUS_MM / 0.07)
    for row, column in ((100, 90), (130, 30)):
        disc = lesion[row - radius : row + radius + 1, column - radius : column + radius + 1]
        assert disc.sum() == pytest.approx(np.pi * radius**2, rel=0.15)
        assert lesion[row, column] and not lesion[row, column + radius + 1]
    assert not lesion[:30].any()  # the pectoral muscle is no lesion


def test_what_has_no_outline_is_normal_unless_its_report_is_suspicious(
    samples: list[Sample],
) -> None:
    known = [(one.annotation, one.has_lesion) for one in samples]
    assert known == [
        ("pixel_mask", True),
        ("normal", False),
        ("image_label", True),
        ("normal", False),
    ]
    normal = samples[1].lesion
    assert normal is not None and not normal.any()


def test_the_spacing_of_each_axis_shapes_the_disc() -> None:
    lesion = inbreast.draw([[(50.0, 50.0)]], (100, 100), (0.05, 0.1))
    rows, columns = np.nonzero(lesion)
    assert (np.ptp(rows), np.ptp(columns)) == (20, 10)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (f"AllDICOMs/{NAMES[1]}", r"AllDICOMs/20586934_\*\.dcm"),
        ("INbreast.csv", r"INbreast\.csv is missing in inbreast/"),
    ],
)
def test_a_file_that_is_not_there_is_named(tmp_path: Path, broken: str, message: str) -> None:
    write(tmp_path / "inbreast")
    (tmp_path / "inbreast" / broken).unlink()
    with pytest.raises(DatasetError, match=message):
        list(inbreast.read(tmp_path / "inbreast"))


def test_an_annotation_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "AllXML" / "20586908.xml").write_text("<plist><dict>")
    with pytest.raises(DatasetError, match=r"AllXML/20586908\.xml"):
        list(inbreast.read(tmp_path))
