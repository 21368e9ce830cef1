"""What is decoded at half its resolution: in range, in place, and the same by every decoder.

OpenJPH does not bound what the reversible wavelet makes; black once came out as white.
"""

from types import SimpleNamespace

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest

from service.imaging.codecs import jpeg_2000
from service.imaging.codecs.jpeg_2000 import decode_jpeg_2000, read_jpeg_2000
from service.imaging.codecs.openjph import decode_fast
from tests.service.imaging.codestreams import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    KINDS,
    encoded,
    low_pass,
    pictures,
    with_precision,
)
from tests.thinned import thinned

BITS = range(8, 17)
LOSSLESS = (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS)
GAIN = {True: 0.625, False: 0.46}
"""How far a sample of the low-pass band may leave the range of the pixels it is made of, in parts
of that range: the sum of the negative weights of 5/3 and 9/7, along both axes."""

REACH = 13
"""Pixels, in the whole image, that four neighbours of the half are made of at most."""

QUANTISED = 0.01
"""By what part of the range lossy compression may move a sample here."""


@pytest.fixture(autouse=True)
def never_whole(monkeypatch):
    """Fail where a half is decoded whole for want of something."""
    never = SimpleNamespace(jpeg2k_decode=lambda *_, **__: pytest.fail("decoded whole"))
    monkeypatch.setattr(jpeg_2000, "imagecodecs", never)


def halves(frame, *, fast):
    """Decode at half the resolution, by each decoder that may."""
    claims = read_jpeg_2000(frame)
    return {by: decode_jpeg_2000(frame, claims, half=True, fast=by) for by in {False, fast}}


def block_means(pixels):
    rows, columns = (side // 2 for side in pixels.shape)
    even = pixels[: 2 * rows, : 2 * columns].astype(np.float64)
    return even.reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def check(frame, bits, kind):
    """Check what holds of every half; give it and the whole."""
    lossless, top = kind in LOSSLESS, (1 << bits) - 1
    claims = read_jpeg_2000(frame)
    assert claims.precision == bits
    whole = imagecodecs.jpeg2k_decode(frame, numthreads=1)
    found = halves(frame, fast=kind in (HTJ2K_LOSSLESS, HTJ2K))
    for half in found.values():
        assert half.shape == whole.shape and half.dtype == whole.dtype
        assert half.max() <= top
    first = next(iter(found.values()))
    apart = max(int(cv2.absdiff(first, half).max()) for half in found.values())
    # The irreversible wavelet is computed in single precision.
    assert apart <= (0 if lossless else 2 + (top >> 14))
    distance = np.abs(block_means(first) - block_means(whole))
    window = np.ones((REACH, REACH), np.uint8)
    spread = cv2.dilate(whole, window).astype(np.float64) - cv2.erode(whole, window)
    spread = spread[::2, ::2][: distance.shape[0], : distance.shape[1]]
    bound = (1 + GAIN[lossless]) * spread + 2 + (0 if lossless else QUANTISED * top)
    assert (distance <= bound).all()
    return first, whole


@pytest.mark.unit
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", KINDS)
def test_steps_lines_and_noise_at_both_ends_of_the_range(kind, bits):
    for samples in pictures(bits).values():
        half, whole = check(encoded(samples, bits, kind), bits, kind)
        if kind in LOSSLESS:
            np.testing.assert_array_equal(whole, samples)
            wanted = np.clip(low_pass(samples), 0, (1 << bits) - 1)
            np.testing.assert_array_equal(half[::2, ::2], wanted)


@pytest.mark.unit
@pytest.mark.parametrize("bits", BITS)
def test_the_pictures_do_overshoot(bits):
    top = (1 << bits) - 1
    for name, samples in pictures(bits).items():
        low = low_pass(samples)
        assert low.min() < 0 or low.max() > top or "chequers" in name or "noise" in name, name
        # As much as the decoder is given bits for.
        assert np.abs(low - (top + 1) // 2).max() < 2 << bits


@pytest.mark.unit
@pytest.mark.parametrize("shape", ((1, 1), (1, 9), (9, 1), (2, 2), (3, 2), (64, 65), (129, 3)))
def test_sides_of_any_length_and_stripe(shape):
    samples = np.random.default_rng(1).choice(np.array((0, 65535), np.uint16), shape)
    for bits in (8, 12, 16):
        shifted = samples >> (16 - bits)
        frame = encoded(shifted, bits, HTJ2K_LOSSLESS)
        np.testing.assert_array_equal(decode_fast(frame), shifted)
        wanted = np.clip(low_pass(shifted), 0, (1 << bits) - 1)
        np.testing.assert_array_equal(decode_fast(frame, levels=1), wanted)


@pytest.mark.unit
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("signed", (False, True))
def test_a_whole_image_that_an_encoder_truncated_is_bounded_too(bits, signed):
    """The wavelet is reversible, and yet what it makes is out of range, by lost bits."""
    middle = 1 << (bits - 1)
    lowest, highest = -middle, middle - 1
    values = np.linspace(1.2 * lowest, 1.2 * highest, 40 * 30).reshape(40, 30).astype(np.int32)
    wide = imagecodecs.htj2k_encode(values.astype(np.int16 if bits < 16 else np.int32))
    frame = with_precision(wide, bits)
    if signed:
        frame = frame[:42] + bytes((0x80 | (bits - 1),)) + frame[43:]
    wanted = np.clip(values, lowest, highest) + (0 if signed else middle)
    found = decode_fast(frame)
    assert found.dtype == np.dtype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    np.testing.assert_array_equal(found, wanted)
    if bits < 16:
        # OpenJPEG does not decode so many planes.
        np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(frame, numthreads=1), wanted)
    claims = read_jpeg_2000(frame)
    np.testing.assert_array_equal(decode_jpeg_2000(frame, claims, fast=True), wanted)


@pytest.mark.unit
@pytest.mark.parametrize("bits", BITS)
def test_what_lossy_compression_saturates_stays_white(bits):
    """OpenJPH made 65,536 of it, of which 16 bits leave 0."""
    top = (1 << bits) - 1
    for samples in pictures(bits).values():
        frame = encoded(samples, bits, HTJ2K)
        fast, careful = decode_fast(frame), imagecodecs.jpeg2k_decode(frame, numthreads=1)
        assert fast.dtype == careful.dtype
        assert fast.max() <= top
        assert cv2.absdiff(fast, careful).max() <= 1 + (top >> 14)


FILM = 0.004
"""How far, as part of the range, a half of a film is from the means of its 2 x 2 pixels on average;
measured: up to 0.0013, of 8 bits."""


@pytest.mark.integration
@pytest.mark.parametrize("view", thinned(range(8), 4, 1))
def test_the_edges_of_real_films(cbis_files, view):
    """A strip over all of a film, breast and label and border, in every syntax."""
    film = pydicom.dcmread(cbis_files[view]).pixel_array
    rows = film.shape[0] // 8
    strip = film[rows * view : rows * (view + 1)]
    for number, kind in enumerate(KINDS):
        bits = 8 + (view + 2 * number) % 9
        half, whole = check(encoded(strip >> (16 - bits), bits, kind), bits, kind)
        apart = np.abs(block_means(half) - block_means(whole)).mean()
        assert apart <= FILM * (1 << bits)
