import struct

import imagecodecs
import numpy as np
import pytest

from service.errors import UnreadableImage
from service.imaging.codecs.jpeg_2000 import read_jpeg_2000
from service.imaging.codecs.jpeg_markers import PROGRESSIVE, SEQUENTIAL, jpeg_scans, read_jpeg
from service.imaging.codecs.rle import rle_segments
from tests.dicom_files import phantom, rle_frame, to_codes
from tests.service.imaging.trailers import TRAILERS

pytestmark = pytest.mark.unit

GREY = to_codes(phantom(8), 8, 8)
DEEP = to_codes(phantom(12), 16, 12)


def refused(read, *arguments):
    with pytest.raises(UnreadableImage) as caught:
        read(*arguments)
    assert caught.value.code == "pixel-data-corrupt"


@pytest.mark.parametrize(
    ("frame", "precision"),
    (
        (imagecodecs.jpeg8_encode(GREY), 8),
        (imagecodecs.jpeg8_encode(DEEP, bitspersample=12), 12),
        (imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=14), 14),
        (imagecodecs.jpegls_encode(GREY), 8),
        (imagecodecs.jpegls_encode(DEEP), 16),
    ),
)
def test_what_jpeg_claims(frame, precision):
    claims = read_jpeg(memoryview(bytes(frame)))
    assert (claims.rows, claims.columns, claims.components) == (72, 56, 1)
    assert claims.precision == precision
    assert claims.signed is None


def test_markers_before_the_frame_header_are_stepped_over():
    frame = bytes(imagecodecs.jpeg8_encode(GREY))
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(frame)) + frame
    filled = frame[:2] + thumbnail + b"\xff\xff\xff" + frame[2:]
    assert read_jpeg(filled).rows == 72
    assert imagecodecs.jpeg8_decode(filled).shape == (72, 56)


@pytest.mark.parametrize("marker", (0xC2, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCF))
def test_processes_that_dicom_does_not_use(marker):
    frame = bytes(imagecodecs.jpeg8_encode(GREY)).replace(b"\xff\xc0", bytes((0xFF, marker)))
    refused(read_jpeg, frame)
    if marker == PROGRESSIVE:
        assert read_jpeg(frame, SEQUENTIAL | {PROGRESSIVE}).rows == 72


@pytest.mark.parametrize(
    "frame",
    (
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8" + b"\xff\xe0\0\0" * 20,
        b"\xff\xd8" + b"\xff\xe0\xff\xff" * 20,
        b"\xff\xd8" + b"\0" * 40,
        b"\xff\xd8\xff\xda\0\x08" + b"\1" * 40,
        b"BM" + b"\0" * 40,
    ),
)
def test_what_is_no_jpeg(frame):
    refused(read_jpeg, frame)


@pytest.mark.parametrize(
    "frame",
    (
        bytes(imagecodecs.jpeg8_encode(GREY)),
        bytes(imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=12)),
        bytes(imagecodecs.jpegls_encode(DEEP)),
        bytes(imagecodecs.jpegls_encode(np.random.default_rng(0).integers(0, 99, (99, 99), "u1"))),
    ),
    ids=("baseline", "lossless", "JPEG-LS", "JPEG-LS of noise"),
)
def test_the_end_of_a_jpeg(frame):
    assert jpeg_scans(frame) == 1
    for trailer in TRAILERS.values():
        assert jpeg_scans(frame + trailer) == 1
    refused(jpeg_scans, frame[:-2])
    refused(jpeg_scans, frame[:-1])
    refused(jpeg_scans, frame[: len(frame) // 2])
    preview = b"\xff\xe1\0\x0c\xff\xd8\xff\xda\xff\xda\xff\xd9\0\0"
    assert jpeg_scans(frame[:2] + preview + frame[2:]) == 1
    refused(jpeg_scans, frame[:2] + preview + frame[2:-2])
    filled = frame[:2] + b"\xff\xff\xff" + frame[2:-2] + b"\xff\xff\xff" + frame[-2:]
    assert jpeg_scans(filled) == 1
    refused(jpeg_scans, frame[:2] + b"\xff\xfe\0\2" * 70_000 + frame[2:])
    refused(jpeg_scans, frame[:2] + b"\xff\xfe\0\0" * 70_000 + frame[2:])


@pytest.mark.parametrize(
    ("samples", "precision", "signed"),
    ((GREY, 8, False), (DEEP, 12, False), (phantom(12, signed=True).astype(np.int16), 12, True)),
)
def test_what_jpeg_2000_claims(samples, precision, signed):
    frame = imagecodecs.jpeg2k_encode(samples, codecformat="J2K", bitspersample=precision)
    claims = read_jpeg_2000(memoryview(bytes(frame)))
    assert (claims.rows, claims.columns, claims.components) == (72, 56, 1)
    assert (claims.precision, claims.signed) == (precision, signed)


def test_an_image_that_starts_off_the_origin():
    frame = bytearray(imagecodecs.jpeg2k_encode(GREY, codecformat="J2K"))
    frame[16:24] = struct.pack(">2L", 6, 2)
    claims = read_jpeg_2000(bytes(frame))
    assert (claims.rows, claims.columns) == (70, 50)


@pytest.mark.parametrize(
    ("at", "field"),
    (
        (8, b"\0\0\0\0"),  # Xsiz: no columns
        (24, b"\0\0\0\0"),  # XTsiz: tiles of no width
        (32, b"\xff\xff\xff\0"),  # XTOsiz: the first tile starts behind the image
        (36, b"\x7f\xff\xff\xff"),  # YTOsiz
        (24, b"\0\0\0\1"),  # XTsiz: thousands of tiles
        (43, b"\2"),  # XRsiz: subsampled
        (2, b"\xff\x52"),  # no SIZ
        (0, b"jP"),  # no SOC
    ),
)
def test_impossible_jpeg_2000_headers(at, field):
    wide = to_codes(phantom(8, rows=8, columns=2000), 8, 8)
    frame = bytes(imagecodecs.jpeg2k_encode(wide, codecformat="J2K"))
    assert read_jpeg_2000(frame).columns == 2000
    refused(read_jpeg_2000, frame[:at] + field + frame[at + len(field) :])


def test_a_jp2_file_without_a_codestream():
    boxed = bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="JP2"))
    assert read_jpeg_2000(boxed).rows == 72
    refused(read_jpeg_2000, boxed[:60])
    refused(read_jpeg_2000, boxed[:12] + b"\0" * 100)


def test_rle_segments():
    segments = rle_segments(rle_frame(DEEP), 2)
    assert [bytes(imagecodecs.packbits_decode(bytes(part)))[: DEEP.size] for part in segments] == [
        (DEEP >> 8).astype(np.uint8).tobytes(),
        (DEEP & 0xFF).astype(np.uint8).tobytes(),
    ]
    refused(rle_segments, rle_frame(DEEP), 1)
    refused(rle_segments, rle_frame(DEEP)[:63], 2)


@pytest.mark.parametrize(
    "offsets", ((64, 10**9), (10, 70), (90, 64), (64, 64), (64, 2**32 - 1)), ids=str
)
def test_rle_offsets_that_lead_out_of_the_frame(offsets):
    frame = struct.pack("<16L", 2, *offsets, *[0] * 13) + b"\x81\0" * 64
    refused(rle_segments, frame, 2)
