"""Files written by dcmtk, which nobody here wrote: every rewriting reads as the original does."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from service.imaging.reader import ReadLimits, read_dicom
from tests.programs import require_program

pytestmark = pytest.mark.integration

LOSSLESS = {
    "implicit": ("dcmconv", "+ti", "1.2.840.10008.1.2"),
    "big endian": ("dcmconv", "+tb", "1.2.840.10008.1.2.2"),
    "deflated": ("dcmconv", "+td", "1.2.840.10008.1.2.1.99"),
    "rle": ("dcmcrle", None, "1.2.840.10008.1.2.5"),
    "jpeg lossless": ("dcmcjpeg", "+el", "1.2.840.10008.1.2.4.57"),
    "jpeg lossless, first order": ("dcmcjpeg", "+e1", "1.2.840.10008.1.2.4.70"),
    "jpeg-ls": ("dcmcjpls", "+el", "1.2.840.10008.1.2.4.80"),
}


@pytest.fixture(scope="module")
def explicit(tmp_path_factory: pytest.TempPathFactory, cbis_files: list[Path]) -> Path:
    """A CBIS view, cut to a quarter for speed, uncompressed by dcmtk."""
    folder = tmp_path_factory.mktemp("dcmtk")
    small = pydicom.dcmread(cbis_files[0])
    pixels = small.pixel_array[800:2400, :1200]
    small.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    small.Rows, small.Columns = pixels.shape
    small.PixelData = np.ascontiguousarray(pixels).tobytes()
    small["PixelData"].is_undefined_length = False
    small.save_as(folder / "small.dcm")
    target = folder / "explicit.dcm"
    run("dcmconv", "+te", folder / "small.dcm", target)
    return target


def run(program: str, option: str | None, source: Path, target: Path) -> None:
    path = require_program(program, "dcmtk")
    options = [] if option is None else [option]
    subprocess.run([path, *options, str(source), str(target)], check=True, capture_output=True)


@pytest.mark.parametrize("name", LOSSLESS)
def test_what_dcmtk_rewrites_reads_the_same(explicit: Path, tmp_path: Path, name: str) -> None:
    program, option, syntax = LOSSLESS[name]
    rewritten = tmp_path / "rewritten.dcm"
    run(program, option, explicit, rewritten)
    result = read_dicom(rewritten.read_bytes(), ReadLimits())
    assert result.transfer_syntax_uid == syntax
    original = read_dicom(explicit.read_bytes(), ReadLimits())
    np.testing.assert_array_equal(result.pixels, original.pixels)
    assert (result.laterality, result.view_position) == ("L", "CC")


def test_near_lossless_jpeg_ls_stays_near(explicit: Path, tmp_path: Path) -> None:
    rewritten = tmp_path / "near.dcm"
    run("dcmcjpls", "+en", explicit, rewritten)
    result = read_dicom(rewritten.read_bytes(), ReadLimits())
    original = read_dicom(explicit.read_bytes(), ReadLimits())
    assert result.transfer_syntax_uid == "1.2.840.10008.1.2.4.81"
    difference = np.abs(result.pixels.astype(int) - original.pixels.astype(int))
    assert 0 < difference.max() < 40


@pytest.mark.parametrize("name", ["rle", "jpeg lossless", "jpeg lossless, first order", "jpeg-ls"])
def test_left_aligned_samples_read_the_same(explicit: Path, tmp_path: Path, name: str) -> None:
    # dcmtk encodes whole cells, whatever Bits Stored and High Bit say.
    film = pydicom.dcmread(explicit)
    film.BitsStored, film.HighBit = 12, 15
    film.WindowCenter, film.WindowWidth = 2048, 4096
    original, rewritten = tmp_path / "left.dcm", tmp_path / "rewritten.dcm"
    film.save_as(original)
    program, option, _ = LOSSLESS[name]
    run(program, option, original, rewritten)
    result = read_dicom(rewritten.read_bytes(), ReadLimits())
    expected = read_dicom(original.read_bytes(), ReadLimits())
    np.testing.assert_array_equal(result.pixels, expected.pixels)
