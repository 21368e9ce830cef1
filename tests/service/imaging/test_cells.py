"""Cells that hold more bits than the sample: read the same, compressed or not."""

from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from service.imaging import decode
from service.imaging.admission import admit
from service.imaging.codecs.codec import DecodeOptions
from service.imaging.decode import read_codes
from service.imaging.dicom import parse
from service.imaging.transfer_syntaxes import ENCAPSULATED, EXPLICIT_LITTLE, LOSSLESS
from tests.dicom_files import dataset, dicom_file, encode, phantom, write
from tests.service.imaging.decoded import decoded
from tests.service.imaging.displayed import shown
from tests.transfer_syntaxes import (
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    RLE,
)

pytestmark = pytest.mark.unit

VALUES = phantom(12)
WINDOW: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096}


def cells(high_bit, noise=True):
    """Return cells whose sample ends at a bit, with anything in the others."""
    placed = VALUES << (high_bit - 11)
    if not noise:
        return placed
    anything = np.random.default_rng(0).integers(0, 1 << 16, VALUES.shape, np.int32)
    return placed | (anything & ~(0xFFF << (high_bit - 11)))


def file_of(held, syntax, high_bit):
    held_by: dict[str, Any] = (
        {"codes": held.astype(np.uint16)}
        if syntax == EXPLICIT_LITTLE
        else {"frame": encode(held, syntax, 16, 16)}
    )
    return dicom_file(VALUES, syntax=syntax, bits_stored=12, HighBit=high_bit, **held_by, **WINDOW)


@pytest.mark.parametrize("high_bit", (11, 13, 15))
@pytest.mark.parametrize("syntax", [*sorted(LOSSLESS), EXPLICIT_LITTLE])
def test_bits_that_do_not_count_are_left_out(syntax, high_bit):
    body = file_of(cells(high_bit), syntax, high_bit)
    np.testing.assert_array_equal(decoded(body), VALUES)
    np.testing.assert_array_equal(shown(body)[0], shown(dicom_file(VALUES, **WINDOW))[0])


@pytest.mark.parametrize("syntax", sorted(ENCAPSULATED - LOSSLESS - {JPEG_BASELINE, JPEG_EXTENDED}))
def test_of_a_lossy_codestream_the_upper_bits_are_the_sample(syntax):
    body = file_of(cells(15, noise=False), syntax, 15)
    assert np.abs(decoded(body) - VALUES).max() < 100


def test_samples_beside_their_bits_are_those_of_the_codestream():
    # 12 bits at the bottom of the codestream's own 12, whatever High Bit says.
    body = dicom_file(
        VALUES,
        syntax=JPEG_2000_LOSSLESS,
        frame=encode(VALUES, JPEG_2000_LOSSLESS, 16, 12),
        bits_stored=12,
        HighBit=15,
    )
    np.testing.assert_array_equal(decoded(body), VALUES)


def halves(body):
    """Return how a file that may be halved was decoded, and its samples."""
    file = parse(body, 2**28)
    asked, decode_frame = [], decode.decode_frame

    def seen(*given: Any) -> Any:
        asked.append(given[-1].half)
        return decode_frame(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decode, "decode_frame", seen)
        codes, layout = read_codes(
            file, admit(file, 10**6, frozenset({"MG"})), 1, DecodeOptions(half=True)
        )
    return asked, codes >> (layout.high_bit + 1 - layout.bits_stored), layout


def test_cells_with_overlays_are_not_halved():
    overlaid = VALUES.copy()
    overlaid[20:21] |= 0x1000
    built = dataset(VALUES)
    built.add_new((0x6000, 0x0102), "US", 12)
    built.add_new("PixelData", "OB", encapsulate([encode(overlaid, HTJ2K_LOSSLESS, 16, 16)]))
    built["PixelData"].is_undefined_length = True
    asked, codes, _ = halves(write(built, HTJ2K_LOSSLESS))
    assert asked == [False]
    np.testing.assert_array_equal(codes & 0xFFF, VALUES)


def test_what_would_overshoot_into_unused_bits_is_decoded_whole():
    steps = np.where(np.arange(64) % 16 < 8, 0, 4095).astype(np.int32)[:, None].repeat(56, axis=1)
    frame = encode(steps, HTJ2K_LOSSLESS, 16, 16)
    asked, codes, _ = halves(dicom_file(steps, syntax=HTJ2K_LOSSLESS, frame=frame, bits_stored=12))
    assert asked == [True, False]
    np.testing.assert_array_equal(codes, steps)


def test_what_fits_its_bits_is_halved():
    smooth = cv2.GaussianBlur(VALUES.astype(np.uint16), (0, 0), 3).astype(np.int32) // 2
    frame = encode(smooth, HTJ2K_LOSSLESS, 16, 16)
    asked, codes, layout = halves(
        dicom_file(smooth, syntax=HTJ2K_LOSSLESS, frame=frame, bits_stored=12)
    )
    assert asked == [True]
    assert layout.bits_stored == 12
    assert np.abs(codes.astype(int) - smooth).max() < 60


def test_of_a_codec_that_halves_nothing_unused_bits_cost_no_second_decoding():
    asked, codes, _ = halves(file_of(cells(11), RLE, 11))
    assert asked == [True]
    np.testing.assert_array_equal(codes & 0xFFF, VALUES)
