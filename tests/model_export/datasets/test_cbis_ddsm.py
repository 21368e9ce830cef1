"""A small copy of what TCIA's downloader leaves on a disk."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.datasets import cbis_ddsm
from model_export.datasets.sample import Sample
from model_export.datasets.tables import DatasetError
from service.imaging.reader import ReadLimits, read_dicom
from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from tests.dicom_files import dicom_file, phantom
from tests.transfer_syntaxes import RLE

pytestmark = pytest.mark.integration

ROWS, COLUMNS = 200, 120
UID = "1.3.6.1.4.1.9590.100.1.2.1"
MASS = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
    "mass shape,mass margins,assessment,pathology,subtlety,image file path,"
    "cropped image file path,ROI mask file path"
)
CALC = MASS.replace("breast_density", "breast density").replace("mass shape", "calc type")


def row(case: str, number: int, pathology: str, *, swapped: bool = False) -> str:
    """Return a row as the tables have it: a line break at the end of one path."""
    _, patient, side, view = case.replace("P_", "P+").split("_")
    crop, mask = (f"{case}_{number}/{UID}/{UID}/00000{file}.dcm" for file in (0, 1))
    if swapped:
        crop, mask = mask, crop
    cells = (patient.replace("+", "_"), "3", side, view, str(number), "kind", "shape", "margins")
    return ",".join(
        (*cells, "4", pathology, "5", f"{case}/{UID}/{UID}/000000.dcm", crop, f'"{mask}\n"')
    )


def capture(codes: NDArray[np.int32], syntax: str = RLE) -> bytes:
    """Return a file like theirs: a secondary capture without spacing."""
    return dicom_file(
        codes,
        syntax=syntax,
        bits_stored=16 if codes.max() > 255 else 8,
        bits_allocated=16 if codes.max() > 255 else 8,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        PresentationIntentType=None,
        ConversionType="WSD",
    )


def square(
    top: int, left: int, side: int, shape: tuple[int, int] = (ROWS, COLUMNS), syntax: str = RLE
) -> bytes:
    codes = np.zeros(shape, np.int32)
    codes[top : top + side, left : left + side] = 255
    return capture(codes, syntax)


def put(root: Path, case: str, **files: bytes) -> None:
    """Write files the way the downloader names them: neither folders nor files match the table."""
    for series, body in files.items():
        folder = root / "CBIS-DDSM" / case / f"07-20-2016-DDSM-NA-{len(body)}" / series[:-4]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"1-{series[-1]}.dcm").write_bytes(body)


def write(root: Path) -> None:
    """Write one image with four abnormalities of both kinds, and one whose mask is lost."""
    film, crop = capture(phantom(16, rows=ROWS, columns=COLUMNS)), capture(phantom(8) + 1)
    one, other = "Mass-Training_P_00001_LEFT_CC", "Calc-Test_P_00001_LEFT_CC"
    lost = "Mass-Training_P_00002_RIGHT_MLO"
    for case in (one, other, lost):
        put(root, case, full_1_1=film, also_1_2=crop)
    put(root, f"{one}_1", roi_1_1=square(20, 10, 30), roi_1_2=crop)
    put(root, f"{one}_2", roi_1_1=crop, roi_1_2=square(100, 60, 20))
    # Mask and crop in two series; the mask a little larger than the film.
    put(root, f"{other}_1", crop_1_1=crop, roi_1_1=square(150, 30, 10, (ROWS + 2, COLUMNS + 1)))
    put(root, f"{lost}_1", roi_1_1=crop)
    rows = [MASS, row(one, 1, "BENIGN"), row(one, 2, "MALIGNANT", swapped=True)]
    rows.append(row(lost, 1, "MALIGNANT"))
    (root / "mass_case_description_train_set.csv").write_text("\n".join(rows) + "\n")
    rows = [CALC, row(other, 1, "BENIGN_WITHOUT_CALLBACK")]
    (root / "calc_case_description_test_set.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    root = tmp_path_factory.mktemp("cbis-ddsm")
    write(root)
    return {sample.name: sample for sample in cbis_ddsm.read(root)}


def test_abnormalities_of_one_image_are_united_over_both_kinds(samples: dict[str, Sample]) -> None:
    assert list(samples) == ["P_00001_LEFT_CC", "P_00002_RIGHT_MLO"]
    sample = samples["P_00001_LEFT_CC"]
    assert (sample.patient, sample.laterality, sample.view_position) == ("P_00001", "L", "CC")
    assert (sample.annotation, sample.density, sample.intent) == ("pixel_mask", "3", "film")
    expected = np.zeros((ROWS, COLUMNS), np.bool_)
    expected[20:50, 10:40] = expected[100:120, 60:80] = True
    assert sample.lesion is not None
    np.testing.assert_array_equal(sample.lesion[:140], expected[:140])
    assert sample.lesion[140:].sum() == pytest.approx(100, abs=20)


def test_who_is_in_the_test_part_of_either_kind_reports(samples: dict[str, Sample]) -> None:
    assert (samples["P_00001_LEFT_CC"].part, samples["P_00001_LEFT_CC"].split) == ("test", "test")
    assert samples["P_00002_RIGHT_MLO"].part == "train"
    assert samples["P_00001_LEFT_CC"].pathology == "BENIGN|BENIGN_WITHOUT_CALLBACK|MALIGNANT"


def test_the_pixels_are_what_the_service_sees(samples: dict[str, Sample]) -> None:
    film = capture(phantom(16, rows=ROWS, columns=COLUMNS))
    mammogram = read_dicom(film, ReadLimits())
    np.testing.assert_array_equal(samples["P_00001_LEFT_CC"].pixels, mammogram.pixels)
    assert samples["P_00001_LEFT_CC"].pixel_spacing_mm == (240 / ROWS, 240 / ROWS)


def test_a_lesion_without_a_mask_is_known_only_as_positive(samples: dict[str, Sample]) -> None:
    sample = samples["P_00002_RIGHT_MLO"]
    assert (sample.has_lesion, sample.annotation, sample.lesion) == (True, "image_label", None)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("CBIS-DDSM/Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00001_LEFT_CC,"),
        ("CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_2", "Mass-Training_P_00001_LEFT_CC_2,"),
    ],
)
def test_a_case_that_is_not_there_is_named(tmp_path: Path, lost: str, message: str) -> None:
    write(tmp_path)
    (tmp_path / lost).rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=message):
        list(cbis_ddsm.read(tmp_path))


def test_tables_are_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"mass_case_description_train_set\.csv"):
        list(cbis_ddsm.read(tmp_path))
    (tmp_path / "mass_case_description_train_set.csv").write_text(MASS.replace("image view", "x"))
    with pytest.raises(DatasetError, match=r"train_set\.csv has no column 'image view'"):
        list(cbis_ddsm.read(tmp_path))


@pytest.mark.parametrize("dark", [0, 40])
def test_only_two_values_in_the_shape_of_the_image_are_a_mask(dark: int) -> None:
    pixels = np.full((ROWS, COLUMNS), dark, np.uint16)
    assert cbis_ddsm._as_mask(pixels, (ROWS, COLUMNS)) is None
    pixels[50:60, 20:50] = 65535
    mask = cbis_ddsm._as_mask(pixels, (ROWS, COLUMNS))
    assert mask is not None and mask.sum() == 300
    assert cbis_ddsm._as_mask(pixels, (ROWS, COLUMNS + 9)) is None
    assert cbis_ddsm._as_mask(pixels, (3 * ROWS, 3 * COLUMNS)) is None
    pixels[0, 0] = 30000
    assert cbis_ddsm._as_mask(pixels, (ROWS, COLUMNS)) is None


def test_real_films_are_read_as_they_stand(tmp_path: Path, cbis_files: list[Path]) -> None:
    """The eight real films have no masks at hand: a square in a frame of their size stands in."""
    file = cbis_files[-1]
    mammogram = read_dicom(file.read_bytes(), ReadLimits())
    case = "Mass-Test_P_00820_RIGHT_MLO"
    put(tmp_path, case, full_1_1=file.read_bytes())
    mask = square(900, 700, 400, (mammogram.rows, mammogram.columns), EXPLICIT_LITTLE)
    put(tmp_path, f"{case}_1", roi_1_1=mask)
    table = f"{MASS}\n{row(case, 1, 'MALIGNANT')}\n"
    (tmp_path / "mass_case_description_test_set.csv").write_text(table)
    (sample,) = cbis_ddsm.read(tmp_path)
    assert sample.pixels.shape == (mammogram.rows, mammogram.columns)
    assert (sample.intent, sample.laterality, sample.view_position) == ("film", "R", "MLO")
    assert 0.045 < sample.pixel_spacing_mm[0] < 0.06
    assert sample.lesion is not None and sample.lesion.sum() == 400 * 400
