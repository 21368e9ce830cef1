"""Whole files of others: real mammograms, and pydicom's own test files pixel by pixel."""

from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom import dcmread

from service.errors import MammosegError
from service.findings import LIKE_A_BREAST
from service.imaging.admission import admit
from service.imaging.breast import find_breast
from service.imaging.decode import read_codes
from service.imaging.dicom import parse
from service.imaging.photometry import stored_values
from service.imaging.reader import ReadLimits, read_dicom

pytestmark = pytest.mark.integration

PYDICOM_FILES = sorted(
    path for path in (Path(pydicom.__file__).parent / "data").rglob("*") if path.is_file()
)


class Anything(frozenset[str]):
    """Every modality."""

    def __contains__(self, _: object) -> bool:
        return True


EVERY_MODALITY = ReadLimits(accept_modalities=Anything())


def test_two_films_in_one_picture_are_told_of_and_one_is_not(small_films):
    films = [cv2.resize(film, (400, 600), interpolation=cv2.INTER_AREA) for film in small_films]
    for film in films:
        assert find_breast(film).next_largest < LIKE_A_BREAST
    # Of one view, both breasts.
    for one, other in ((0, 2), (1, 3), (4, 6), (5, 7)):
        pair = np.hstack([films[one], np.zeros((600, 60), np.uint16), films[other]])
        assert find_breast(pair).next_largest >= LIKE_A_BREAST


def test_cbis_mammograms(cbis_files):
    assert len(cbis_files) == 8
    views = set()
    for path in cbis_files[::3]:
        mammogram = read_dicom(path.read_bytes(), ReadLimits())
        views.add((mammogram.laterality, mammogram.view_position))
        assert mammogram.intent == "film"
        assert mammogram.pixel_spacing_mm is None
        assert mammogram.caveats == ()
        assert (mammogram.pixels.min(), mammogram.pixels.max()) == (0, 65535)
    assert len(views) == 3


def test_a_cbis_mammogram_to_the_pixel(cbis_files):
    body = cbis_files[0].read_bytes()
    reference = dcmread(cbis_files[0])
    reference.pixel_array_options(decoding_plugin="pydicom")
    stored = reference.pixel_array.astype(np.float64)
    stretched = (stored - stored.min()) / (stored.max() - stored.min()) * 65535
    pixels = read_dicom(body, ReadLimits()).pixels
    np.testing.assert_array_equal(pixels, np.rint(stretched))


def test_a_lossy_film_scan(shared_data):
    body = (shared_data / "dicom" / "MG1_J2KI.dcm").read_bytes()
    mammogram = read_dicom(body, ReadLimits(accept_modalities=frozenset({"RG"})))
    assert mammogram.pixels.shape == (4664, 3064)
    assert (mammogram.intent, mammogram.laterality) == ("film", "L")
    assert mammogram.view_position == "MLO"
    with pytest.raises(MammosegError) as refused:
        read_dicom(body, ReadLimits())
    assert refused.value.code == "modality-not-accepted"


NATIVELY_DECODED = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_padded.dcm",
    "image_dfl.dcm",
    "examples_overlay.dcm",
)


@pytest.mark.parametrize("name", NATIVELY_DECODED)
def test_stored_values_are_those_pydicom_decodes(name):
    (path,) = (path for path in PYDICOM_FILES if path.name == name)
    file = parse(path.read_bytes(), 2**28)
    codes, layout = read_codes(file, admit(file, 10**8, Anything()))
    reference = dcmread(path)
    reference.pixel_array_options(decoding_plugin="pydicom" if "RLE" in name else "")
    np.testing.assert_array_equal(
        stored_values(layout, codes.dtype.itemsize)[codes], reference.pixel_array
    )


def test_the_lossless_relatives_of_one_image():
    def read(name: str) -> np.ndarray:
        (path,) = (path for path in PYDICOM_FILES if path.name == name)
        return read_dicom(path.read_bytes(), EVERY_MODALITY).pixels

    plain = read("MR_small.dcm")
    for relative in ("MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"):
        np.testing.assert_array_equal(read(f"{relative}.dcm"), plain)
