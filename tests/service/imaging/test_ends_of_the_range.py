"""No way to display values turns black into white or white into black, whatever decodes it.

Samples at the ends of their range are where a decoder overshoots, and where the next cast to fewer
bits, or the mask of Bits Stored, would wrap around.
"""

import numpy as np
import pytest

from service.imaging.photometry import apply_window
from service.imaging.pyramid import halved
from service.imaging.resample import resize
from service.imaging.transfer_syntaxes import ENCAPSULATED
from tests.dicom_files import dicom_file, to_codes
from tests.service.imaging.codestreams import pictures
from tests.service.imaging.decoded import decoded
from tests.service.imaging.displayed import FULL, shown
from tests.transfer_syntaxes import (
    HTJ2K,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LS_NEAR,
)

pytestmark = pytest.mark.unit

LOSSY = {JPEG_BASELINE, JPEG_EXTENDED, JPEG_LS_NEAR, JPEG_2000, HTJ2K}
BITS = {JPEG_BASELINE: (8,), JPEG_EXTENDED: (8, 12)}
SYNTAXES = sorted(ENCAPSULATED)
KNOWS_SIGN = {JPEG_2000, HTJ2K}
"""Lossy ones that do; the others would compress the low bits of signed samples with a loss."""

CASES = [
    (syntax, bits, signed)
    for syntax in SYNTAXES
    for bits in BITS.get(syntax, (8, 12, 16))
    for signed in (False, True)
    if not signed or syntax not in LOSSY - KNOWS_SIGN
]
HARD = ("steps", "lines, inverted", "noise", "points", "grain at both ends")


@pytest.mark.parametrize(("syntax", "bits", "signed"), CASES)
def test_every_syntax_keeps_both_ends_of_the_range(syntax, bits, signed):
    top = (1 << bits) - 1
    lowest = -(1 << (bits - 1)) if signed else 0
    drawn = pictures(bits, rows=40, columns=34)
    for name in HARD:
        values = drawn[name].astype(np.int32) + lowest
        allocated = 8 if bits == 8 else 16
        body = dicom_file(
            values, syntax=syntax, bits_stored=bits, bits_allocated=allocated, signed=signed
        )
        for sandboxed in (False, True):
            apart = np.abs(decoded(body, sandboxed=sandboxed) - values).max()
            assert apart <= (0.25 * top if syntax in LOSSY else 0), name


@pytest.mark.parametrize("bits", (8, 10, 12, 16))
@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
def test_rescaling_and_padding_do_not_wrap(bits, photometric):
    samples = pictures(bits)["any value"].astype(np.int32)
    order = 1 if photometric == "MONOCHROME2" else -1
    for slope, intercept in ((1e9, -1e9), (-1e9, 1e9), (1e-9, 0), (3.7, -40_000), (-2, 1e9)):
        pixels, _ = shown(
            dicom_file(
                samples,
                bits_stored=bits,
                RescaleSlope=slope,
                RescaleIntercept=intercept,
                PhotometricInterpretation=photometric,
            )
        )
        ranked = pixels.ravel()[np.argsort(samples.ravel())].astype(int)
        assert (np.diff(ranked) * order * np.sign(slope) >= 0).all()
        assert {ranked[0], ranked[-1]} == {0, FULL}


@pytest.mark.parametrize("function", ("LINEAR", "LINEAR_EXACT", "SIGMOID"))
@pytest.mark.parametrize("center", (-1e30, -1.0, 0.0, 2048.0, 1e30))
@pytest.mark.parametrize("width", (1.0, 1.5, 4096.0, 1e30))
def test_a_window_stays_in_its_range(function, center, width):
    values = np.array([-65536e9, -1e5, -1, 0, 1, 65535, 1e5, 65536e9])
    found = apply_window(values, center, width, function)
    assert np.isfinite(found).all()
    assert found.min() >= 0.0 and found.max() <= 1.0
    assert (np.diff(found) >= 0).all()


def test_resampling_stays_between_the_neighbours():
    for samples in pictures(16, rows=96, columns=80).values():
        for found in (halved(samples), resize(samples, (31, 27)), resize(samples, (301, 90))):
            assert found.dtype == np.uint16
            assert samples.min() <= found.min() and found.max() <= samples.max()
            assert abs(found.mean() - samples.mean()) < 0.02 * FULL


def test_bits_above_those_stored_are_dropped_and_not_wrapped_into_the_sample():
    for bits in (8, 10, 12, 15):
        values = pictures(bits)["steps"].astype(np.int32)
        codes = to_codes(values, 16, bits) | np.uint16((0xFFFF << bits) & 0xFFFF)
        body = dicom_file(values, codes=codes, bits_stored=bits)
        np.testing.assert_array_equal(decoded(body), values)
