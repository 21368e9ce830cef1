import struct
from contextlib import suppress

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from service.errors import UnreadableImage
from service.imaging.codecs import jpeg_2000
from service.imaging.codecs.jpeg_2000 import decode_jpeg_2000, doubled, read_jpeg_2000
from tests.dicom_files import dicom_file
from tests.service.imaging.decoded import decoded
from tests.transfer_syntaxes import HTJ2K, HTJ2K_LOSSLESS, JPEG_2000, JPEG_2000_LOSSLESS

pytestmark = pytest.mark.unit

SYNTAXES = (JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K)
ROWS, COLUMNS = 404, 303
CENTRES = ((60, 50), (61, 201), (200, 130), (307, 66), (330, 251))
"""(row, column) of discs, on even and odd pixels."""


def discs(rows=ROWS, columns=COLUMNS):
    """Draw soft discs on a slope: int32 of 12 bits."""
    row, column = np.mgrid[:rows, :columns]
    drawn = 300.0 + row + column
    for at in CENTRES:
        distance = np.hypot(row - at[0], column - at[1])
        drawn += 3000.0 / (1.0 + np.exp(distance - 15.0))
    return np.rint(drawn.clip(0, 4095)).astype(np.int32)


def centroids(pixels):
    """Return the centre of gravity of each disc, (row, column)."""
    found = []
    for row, column in CENTRES:
        part = pixels[row - 30 : row + 31, column - 30 : column + 31].astype(float)
        bright = (part - 2000.0).clip(0.0)
        y, x = np.mgrid[-30:31, -30:31]
        found.append((row + np.average(y, weights=bright), column + np.average(x, weights=bright)))
    return np.array(found)


@pytest.fixture
def whole(monkeypatch):
    """Count the decodings of all that a codestream has."""
    given = []

    def spy(frame, **options):
        given.append(frame)
        return original(frame, **options)

    original = imagecodecs.jpeg2k_decode
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", spy)
    return given


@pytest.mark.parametrize("sandboxed", (False, True))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_read_at_half_resolution_lies_where_it_lay(syntax, sandboxed, whole):
    body = dicom_file(discs(), syntax=syntax)
    half = decoded(body, sandboxed=sandboxed, half=True)
    assert whole == []
    full = decoded(body, sandboxed=sandboxed)
    assert half.shape == full.shape == (ROWS, COLUMNS)
    assert np.abs(centroids(half) - centroids(full)).max() < 0.01
    assert np.abs(centroids(half) - CENTRES).max() < 0.1
    # Of sides that OpenCV need not pad; it is half a pixel off where it must.
    shift, _ = cv2.phaseCorrelate(*(one[:400, :300].astype(np.float32) for one in (full, half)))
    assert np.abs(shift).max() < 0.05
    assert 0 < np.abs(half - full).max() < 300
    assert np.abs(half - full).mean() < 10


@pytest.mark.parametrize("sandboxed", (False, True))
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("shape", ((72, 56), (71, 56), (72, 55), (73, 57), (1, 9), (9, 1), (1, 1)))
def test_sides_of_any_length(shape, syntax, sandboxed):
    flat = np.full(shape, 1234, np.int32)
    half = decoded(dicom_file(flat, syntax=syntax), sandboxed=sandboxed, half=True)
    assert half.shape == shape
    assert np.abs(half - flat).max() <= 2


@pytest.mark.parametrize("sandboxed", (False, True))
@pytest.mark.parametrize(("allocated", "stored"), ((8, 8), (16, 8), (16, 10), (16, 12), (16, 16)))
@pytest.mark.parametrize("syntax", (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS))
def test_every_precision(syntax, allocated, stored, sandboxed, whole):
    values = discs() >> 4 << (stored - 8) if stored != 12 else discs()
    body = dicom_file(values, syntax=syntax, bits_allocated=allocated, bits_stored=stored)
    half = decoded(body, sandboxed=sandboxed, half=True)
    assert whole == []
    assert np.abs(half - values).mean() < 0.005 * (1 << stored)


def test_signed_samples_are_decoded_whole(whole):
    values = discs() - 2048
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, signed=True)
    np.testing.assert_array_equal(decoded(body, half=True), values)
    unsigned = imagecodecs.jpeg2k_encode(
        (values & 4095).astype(np.uint16), codecformat="J2K", bitspersample=12, reversible=True
    )
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, frame=bytes(unsigned), signed=True)
    np.testing.assert_array_equal(decoded(body, half=True), values)
    signed = imagecodecs.jpeg2k_encode(
        values.astype(np.int16), codecformat="J2K", bitspersample=12, reversible=True
    )
    body = dicom_file(values & 4095, syntax=JPEG_2000_LOSSLESS, frame=bytes(signed))
    np.testing.assert_array_equal(decoded(body, half=True), values & 4095)
    assert len(whole) == 3


@pytest.mark.parametrize("shape", ((202, 151), (203, 152), (404, 303)))
def test_a_halved_image_of_another_size_is_not_taken(shape, monkeypatch, whole):
    monkeypatch.setattr(jpeg_2000, "_by_pillow", lambda *_: np.zeros(shape, np.uint16))
    body = dicom_file(discs(), syntax=JPEG_2000_LOSSLESS)
    np.testing.assert_array_equal(decoded(body, half=True), discs())
    assert len(whole) == 1


def test_doubling_is_linear_interpolation_at_half_pixels():
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        samples = rng.integers(0, np.iinfo(dtype).max, (17, 9), dtype, endpoint=True)
        both = doubled(samples)
        assert both.shape == (34, 18) and both.dtype == dtype
        np.testing.assert_array_equal(both[::2, ::2], samples)
        between = (samples[:-1].astype(float) + samples[1:]) / 2
        assert np.abs(both[1:-1:2, ::2] - between).max() <= 0.5
        between = (samples[:, :-1].astype(float) + samples[:, 1:]) / 2
        assert np.abs(both[::2, 1:-1:2] - between).max() <= 0.5
        np.testing.assert_array_equal(both[-1], both[-2])
        np.testing.assert_array_equal(both[:, -1], both[:, -2])


def coded(syntax=JPEG_2000_LOSSLESS, **options):
    samples = discs().astype(np.uint16)
    if syntax == HTJ2K_LOSSLESS:
        return bytes(imagecodecs.htj2k_encode(samples, reversible=True, **options))
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples, codecformat="J2K", bitspersample=12, reversible=True, **options
        )
    )


def test_a_wavelet_without_levels_is_decoded_whole(whole):
    body = dicom_file(discs(), syntax=JPEG_2000_LOSSLESS, frame=coded(resolutions=1))
    np.testing.assert_array_equal(decoded(body, half=True), discs())
    assert len(whole) == 1


@pytest.mark.parametrize("fault", (imagecodecs.Htj2kError, ValueError))
def test_what_the_fast_decoder_cannot_halve_another_does(fault, monkeypatch, whole):
    def fails(frame, **options):
        raise fault

    monkeypatch.setattr(imagecodecs, "htj2k_decode", fails)
    body = dicom_file(discs(), syntax=HTJ2K_LOSSLESS)
    half = decoded(body, sandboxed=True, half=True)
    np.testing.assert_array_equal(half, decoded(body, half=True))
    assert whole == []


@pytest.mark.parametrize("sandboxed", (False, True))
def test_tiles(sandboxed, whole):
    frame = coded(HTJ2K_LOSSLESS, tile=(128, 64))
    assert read_jpeg_2000(frame).tiles > 12
    body = dicom_file(discs(), syntax=HTJ2K_LOSSLESS, frame=frame)
    half = decoded(body, sandboxed=sandboxed, half=True)
    assert whole == []
    assert np.abs(centroids(half) - CENTRES).max() < 0.1


@pytest.mark.parametrize("corner", (16, 20, 32, 36))
def test_a_grid_that_starts_elsewhere_is_decoded_whole(corner, monkeypatch):
    frame = coded()
    moved = frame[:corner] + struct.pack(">L", 1) + frame[corner + 4 :]
    monkeypatch.setattr(jpeg_2000, "_by_pillow", lambda *_: pytest.fail("halved"))
    with suppress(Exception):
        decode_jpeg_2000(moved, read_jpeg_2000(frame), half=True)
    with pytest.raises(pytest.fail.Exception, match="halved"):
        decode_jpeg_2000(frame, read_jpeg_2000(frame), half=True)


def test_a_jp2_file_is_decoded_whole(whole):
    jp2 = bytes(
        imagecodecs.jpeg2k_encode(
            discs().astype(np.uint16), codecformat="JP2", bitspersample=12, reversible=True
        )
    )
    body = dicom_file(discs(), syntax=JPEG_2000_LOSSLESS, frame=jp2)
    np.testing.assert_array_equal(decoded(body, half=True), discs())
    assert len(whole) == 1


def test_a_header_of_many_segments_is_not_for_pillow(monkeypatch):
    frame = coded()
    at = frame.index(b"\xff\x52")
    segment = b"\xff\x5c\0\2"
    opened = []

    def refuse(*_, **__):
        opened.append(1)
        pytest.fail("opened")

    monkeypatch.setattr(Image, "open", refuse)
    long = frame[:at] + segment * 300 + frame[at:]
    with suppress(imagecodecs.Jpeg2kError):
        decode_jpeg_2000(long, read_jpeg_2000(frame), half=True)
    assert opened == []
    endless = frame[:at] + b"\xff\x5c\xff\xff" + frame[at:]
    with suppress(imagecodecs.Jpeg2kError):
        decode_jpeg_2000(endless, read_jpeg_2000(frame), half=True)
    assert opened == []


@pytest.mark.parametrize("sandboxed", (False, True))
@pytest.mark.parametrize("keep", (0.01, 0.3, 0.7, 0.97, 0.999))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_codestream_that_breaks_off_is_refused(syntax, keep, sandboxed):
    frame = coded(HTJ2K_LOSSLESS if syntax in (HTJ2K_LOSSLESS, HTJ2K) else JPEG_2000_LOSSLESS)
    cut = dicom_file(discs(), syntax=syntax, frame=frame[: int(len(frame) * keep)])
    with pytest.raises(UnreadableImage):
        decoded(cut, sandboxed=sandboxed, half=True)


@pytest.mark.parametrize("syntax", (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS))
def test_no_damaged_codestream_is_refused_that_was_not(syntax):
    frame, rng = coded(syntax), np.random.default_rng(0)
    outcomes = set()
    for _ in range(40):
        broken = bytearray(frame)
        for at in rng.integers(2, len(frame), 3):
            broken[at] = rng.integers(256)
        body = dicom_file(discs(), syntax=syntax, frame=bytes(broken))
        outcomes.add((shape_of(body, half=True), shape_of(body, half=False)))
    assert ((ROWS, COLUMNS), (ROWS, COLUMNS)) in outcomes
    assert outcomes <= {
        (found, whole) for found in ((ROWS, COLUMNS), None) for whole in (found, None)
    }


def shape_of(body, *, half):
    try:
        return decoded(body, half=half).shape
    except UnreadableImage:
        return None
