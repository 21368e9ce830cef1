from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.datasets import cbis_ddsm_800
from model_export.datasets.tables import DatasetError
from service.imaging.mammogram import Mammogram
from service.imaging.pixel_size import spacing_or_assumed
from tests.model_export.samples import write_cbis_ddsm_800

pytestmark = pytest.mark.integration


def test_films_get_their_proportions_back_and_keep_their_long_side(tmp_path: Path) -> None:
    write_cbis_ddsm_800(tmp_path)
    first, second = cbis_ddsm_800.read(tmp_path)
    assert (first.pixels.shape, second.pixels.shape) == ((160, 96), (160, 128))
    assert (first.part, second.part, second.split) == ("train", "test", "test")
    assert (first.laterality, first.view_position) == ("L", "CC")
    assert (second.patient, second.density, second.pathology) == ("P_2", "2", "BENIGN")
    assert first.annotation == "pseudo_outline"


def test_boxes_and_outlines_are_unsqueezed_with_their_image(tmp_path: Path) -> None:
    write_cbis_ddsm_800(tmp_path)
    first, _ = cbis_ddsm_800.read(tmp_path)
    assert first.boxes == (pytest.approx((24.0, 50.0, 14.4, 16.0)),)
    assert first.lesion is not None
    rows, columns = np.nonzero(first.lesion)
    assert (rows.mean(), columns.mean()) == pytest.approx((58, 31.2), abs=0.5)
    assert np.ptp(rows) + 1 == pytest.approx(16, abs=1.5)
    assert np.ptp(columns) + 1 == pytest.approx(14.4, abs=1.5)


def test_a_dicom_file_of_the_set_without_spacing_is_served_at_the_trained_scale(
    tmp_path: Path,
) -> None:
    write_cbis_ddsm_800(tmp_path)
    first, _ = cbis_ddsm_800.read(tmp_path)
    served = Mammogram(np.zeros((5000, 3000), np.uint16), pixel_spacing_mm=None)
    spacing, assumed = spacing_or_assumed(served, 240.0)
    assert assumed
    assert first.pixel_spacing_mm[0] * 160 == pytest.approx(spacing[0] * 5000)
    assert first.pixel_spacing_mm[1] * 96 == pytest.approx(spacing[1] * 3000)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("images.csv", ",train,", ",holdout,", "part of 1_LEFT_CC is 'holdout', not train or test"),
        ("images.csv", ",3000,5000", ",0,5000", "original size of 1_LEFT_CC is not above 0"),
        ("images.csv", ",3000,5000", ",wide,5000", "'original_columns' is 'wide', not a number"),
        ("images.csv", ",3000,5000", ",nan,5000", "'original_columns' is 'nan', not a number"),
        ("boxes.csv", "1_LEFT_CC,40,", "1_LEFT_CC,inf,", "boxes.csv: 'x' is 'inf', not a number"),
        ("boxes.csv", "1_LEFT_CC,", "1_LEFT_MLO,", "boxes.csv has no row for 1_LEFT_CC"),
        ("boxes.csv", "1_LEFT_CC,40,", "1_LEFT_CC,,", "boxes.csv: 'x' is '', not a number"),
    ],
)
def test_what_makes_no_sense_is_named(
    tmp_path: Path, table: str, old: str, new: str, message: str
) -> None:
    write_cbis_ddsm_800(tmp_path)
    text = (tmp_path / table).read_text()
    assert old in text
    (tmp_path / table).write_text(text.replace(old, new))
    with pytest.raises(DatasetError, match=message):
        list(cbis_ddsm_800.read(tmp_path))


def test_an_outline_that_is_empty_or_of_another_size_is_refused(tmp_path: Path) -> None:
    write_cbis_ddsm_800(tmp_path)
    mask = tmp_path / "masks" / "1_LEFT_CC.png"
    cv2.imwrite(str(mask), np.zeros((160, 160), np.uint8))
    with pytest.raises(DatasetError, match=r"masks/1_LEFT_CC\.png is empty"):
        list(cbis_ddsm_800.read(tmp_path))
    cv2.imwrite(str(mask), np.zeros((80, 160), np.uint8))
    with pytest.raises(DatasetError, match=r"masks/1_LEFT_CC\.png is not as large"):
        list(cbis_ddsm_800.read(tmp_path))


@pytest.mark.long
def test_the_real_set_is_read_whole_and_its_outlines_lie_in_their_boxes(shared_data: Path) -> None:
    folder = shared_data / "cbis-ddsm-800"
    if not folder.is_dir():
        pytest.skip("no copy of CBIS-DDSM here")
    samples = list(cbis_ddsm_800.read(folder))
    assert len(samples) == 1405
    assert sum(len(one.boxes) for one in samples) == 1489
    assert {one.split for one in samples if one.part == "test"} == {"test"}
    validation = {one.patient for one in samples if one.split == "validation"}
    training = {one.patient for one in samples if one.split == "train"}
    assert 60 < len(validation) < 110 and not validation & training
    for one in samples[::20]:
        assert one.lesion is not None
        inside = np.zeros_like(one.lesion)
        for box in one.boxes:
            # Outlines were clipped to the box and 5 % more.
            top, left = int(box.y - 0.05 * box.height) - 1, int(box.x - 0.05 * box.width) - 1
            bottom, right = int(box.y + 1.05 * box.height) + 2, int(box.x + 1.05 * box.width) + 2
            inside[max(0, top) : bottom, max(0, left) : right] = True
        assert not (one.lesion & ~inside).any()
