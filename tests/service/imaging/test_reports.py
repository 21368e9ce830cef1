"""The files of bug reports, as they came: each is read as the report asks."""

import numpy as np
import pytest

from service.imaging import elements
from service.imaging.dicom import parse
from service.imaging.reader import ReadLimits, read_dicom
from tests.service.imaging.raster_files import read
from tests.service.imaging.test_dicom import BOUND

pytestmark = pytest.mark.integration


def test_reports_of_implicit_file_meta_information(shared_data):
    for file in sorted((shared_data / "reports" / "implicit-meta").glob("*.dcm")):
        assert elements.integer(parse(file.read_bytes(), BOUND).dataset, "Rows") == 360


def test_reports_of_offset_tables(shared_data):
    folder = shared_data / "reports"
    right = read_dicom((folder / "reference" / "ref.dcm").read_bytes(), ReadLimits()).pixels
    files = sorted((folder / "offset-table").glob("*.dcm"))
    assert len(files) == 5
    for file in files:
        for frame in (None, 1):
            found = read_dicom(file.read_bytes(), ReadLimits(), frame).pixels
            np.testing.assert_array_equal(found, right)


def test_reports_of_jpeg(shared_data):
    folder = shared_data / "reports" / "jpeg-trailing"
    for file in folder.glob("*.jpg"):
        body = file.read_bytes()
        plain, _ = read(body[: body.index(b"\xff\xd9") + 2], "jpeg")
        np.testing.assert_array_equal(read(body, "jpeg")[0], plain)


def test_reports_of_an_icon(shared_data):
    folder = shared_data / "reports"
    right = read_dicom((folder / "reference" / "ref.dcm").read_bytes(), ReadLimits()).pixels
    for file in sorted((folder / "icon-sequence").glob("*.dcm")):
        found = read_dicom(file.read_bytes(), ReadLimits()).pixels
        np.testing.assert_array_equal(found, right)


def test_reports_of_tiff(shared_data):
    folder = shared_data / "reports" / "tiff"
    plain = read((folder / "plain-16.tif").read_bytes(), "tiff")
    for file in sorted(folder.glob("*.tif")):
        found = read(file.read_bytes(), "tiff")
        np.testing.assert_array_equal(found[0], plain[0])
        assert found[1] == plain[1]
