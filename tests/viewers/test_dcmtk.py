"""Presentation states as dcmtk renders them: grey values and outlines."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from service.imaging.reader import ReadLimits, read_dicom
from service.outputs.dicom.outline import shown_regions
from service.outputs.dicom.registry import dicom_file
from tests.dicom_files import phantom, write
from tests.findings_by_hand import SHAPE, findings_by_hand
from tests.mammogram_headers import VENDORS, full_header
from tests.programs import program_says
from tests.viewers.screen import filled, iou

pytestmark = pytest.mark.integration

_POINT = re.compile(r"(-?[\d.]+)\\(-?[\d.]+)")


Polygons = list[NDArray[np.float64]]


def rendered(image: Path, picture: Path, state: Path) -> tuple[NDArray[np.uint8], Polygons]:
    """Return dcmtk's picture of an image under a presentation state, and the polygons it read."""
    said = program_says("dcmp2pgm", "dcmtk", "-v", "-p", state, image, picture)
    lines = [line for line in said.splitlines() if "coordinates:" in line]
    polygons = [np.array(_POINT.findall(line), float) for line in lines]
    return np.asarray(Image.open(picture)), polygons


def image_of(header: Dataset) -> bytes:
    """Write a phantom's pixels behind a header."""
    pixels = phantom(12, rows=SHAPE[0], columns=SHAPE[1]).astype("<u2")
    whole = Dataset()
    whole.update(header)
    whole.add_new("PixelData", "OW", pixels.tobytes())
    return write(whole)


@pytest.mark.parametrize("maker", VENDORS)
def test_each_makers_image_is_rendered_as_the_service_reads_it(tmp_path: Path, maker: str) -> None:
    header = full_header(**VENDORS[maker])
    image, state = tmp_path / "image.dcm", tmp_path / "state.dcm"
    image.write_bytes(image_of(header))
    state.write_bytes(dicom_file("gsps", findings_by_hand(), header))
    seen, _ = rendered(image, tmp_path / "seen.pgm", state)
    ours = read_dicom(image.read_bytes(), ReadLimits()).pixels
    assert np.abs(seen.astype(int) - (ours >> 8)).max() <= 1


@pytest.mark.parametrize("score", [0.93, 0.1])
def test_dcmtk_reads_outlines_that_stand_on_the_mask(tmp_path: Path, score: float) -> None:
    header, findings = full_header(), findings_by_hand(score=score)
    image, state = tmp_path / "image.dcm", tmp_path / "state.dcm"
    image.write_bytes(image_of(header))
    state.write_bytes(dicom_file("gsps", findings, header))
    _, polygons = rendered(image, tmp_path / "seen.pgm", state)
    assert len(polygons) == len(shown_regions(findings))
    drawn = np.zeros(SHAPE, bool)
    for points in polygons:
        drawn |= filled(points, SHAPE).astype(bool)
    assert iou(drawn, findings.mask) >= 0.9 or not findings.mask.any()
    assert program_says("dcmpschk", "dcmtk", state).splitlines()[-1].endswith("Test passed.")


def test_dcmtk_renders_real_views_as_they_are(tmp_path: Path, cbis_files: list[Path]) -> None:
    source = pydicom.dcmread(cbis_files[4])
    image, state = tmp_path / "image.dcm", tmp_path / "state.dcm"
    assert "E:" not in program_says("dcmdrle", "dcmtk", cbis_files[4], image)
    findings = findings_by_hand((source.Rows, source.Columns), pixel_spacing_mm=None)
    state.write_bytes(dicom_file("gsps", findings, source))
    seen, polygons = rendered(image, tmp_path / "seen.pgm", state)
    assert np.abs(seen.astype(int) - (source.pixel_array >> 8)).max() <= 1
    for points, region in zip(polygons, shown_regions(findings), strict=True):
        box = region.box
        inside = filled(points, seen.shape)[box.top : box.bottom, box.left : box.right]
        assert iou(inside, region.pixels) >= 0.99
