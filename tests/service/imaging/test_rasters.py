import io
import logging
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from service.errors import MammosegError
from service.imaging.limits import ReadLimits
from service.imaging.rasters import read_raster_file, turn
from tests.dicom_files import phantom
from tests.service.imaging.raster_files import DEEP, GREY, file_of, read, refusal, rgb
from tests.service.imaging.trailers import TRAILERS

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("body", "kind"),
    (
        (file_of(GREY), "png"),
        (file_of(rgb(GREY)), "png"),
        (file_of(np.dstack([rgb(GREY), np.full_like(GREY, 255)])), "png"),
        (file_of(np.dstack([GREY, np.full_like(GREY, 255)])), "png"),
        (file_of(Image.fromarray(GREY).convert("P")), "png"),
        (file_of(GREY, "TIFF"), "tiff"),
        (file_of(GREY, "TIFF", compression="tiff_lzw"), "tiff"),
        (file_of(rgb(GREY), "TIFF"), "tiff"),
        (file_of(Image.fromarray(GREY).convert("P"), "TIFF"), "tiff"),
        (imagecodecs.tiff_encode(GREY, bigtiff=True), "tiff"),
        (imagecodecs.tiff_encode(GREY.copy(), byteorder=">"), "tiff"),
        (imagecodecs.tiff_encode(GREY, tile=(32, 32)), "tiff"),
    ),
)
def test_eight_grey_bits_fill_the_range(body, kind):
    pixels, caveats = read(body, kind)
    np.testing.assert_array_equal(pixels, GREY.astype(np.uint16) * 257)
    assert caveats == []


@pytest.mark.parametrize(
    ("body", "kind"),
    (
        (imagecodecs.png_encode(DEEP), "png"),
        (imagecodecs.png_encode(rgb(DEEP)), "png"),
        (file_of(DEEP, "TIFF"), "tiff"),
        (imagecodecs.tiff_encode(DEEP.copy(), byteorder=">"), "tiff"),
        (imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=16), "jpeg"),
    ),
)
def test_sixteen_grey_bits_are_kept(body, kind):
    pixels, caveats = read(body, kind)
    np.testing.assert_array_equal(pixels, DEEP)
    assert caveats == []


@pytest.mark.parametrize("options", ({}, {"progressive": True}, {"optimize": True}))
def test_jpeg_in_grey_and_in_colour_that_is_grey(options):
    for image in (GREY, rgb(GREY)):
        pixels, _ = read(file_of(image, "JPEG", quality=95, **options), "jpeg")
        assert np.abs(pixels / 257 - GREY).max() < 12


def test_twelve_bit_jpeg_fills_the_range():
    deep = phantom(12).astype(np.uint16)
    pixels, _ = read(imagecodecs.jpeg8_encode(deep, level=98, bitspersample=12), "jpeg")
    assert np.abs(pixels / 16 - deep).max() < 120


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ("png", "jpeg", "tiff"))
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = file_of(GREY, kind.upper(), exif=exif)
    with Image.open(io.BytesIO(body)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    pixels, caveats = read(body, kind)
    assert pixels.shape == upright.shape
    assert np.abs(pixels / 257 - upright).max() < (20 if kind == "jpeg" else 1e-9)
    assert caveats == ([] if orientation == 1 else ["orientation-applied"])


def test_an_unknown_orientation_is_none():
    np.testing.assert_array_equal(turn(DEEP, 9), DEEP)
    np.testing.assert_array_equal(turn(DEEP, 0), DEEP)


def test_a_bright_background_is_inverted_and_said():
    pixels, caveats = read(file_of(255 - GREY))
    np.testing.assert_array_equal(pixels, GREY.astype(np.uint16) * 257)
    assert caveats == ["polarity-guessed"]


@pytest.mark.parametrize("kind", ("png", "jpeg"))
def test_a_picture_of_one_image_has_one_frame(kind):
    read(file_of(GREY, kind.upper()), kind, frame=1)
    assert refusal(file_of(GREY, kind.upper()), kind, frame=2) == (400, "no-such-frame")


def colourful():
    image = rgb(GREY).copy()
    image[30:40, 10:20, 0] += 60
    return image


def palette_of_colours():
    image = Image.fromarray(GREY).convert("P")
    image.putpalette([value for i in range(256) for value in (i, 255 - i, i)])
    return image


def pages(kind):
    second = [Image.fromarray(GREY.T.copy())]
    return file_of(Image.fromarray(GREY), kind, save_all=True, append_images=second)


@pytest.mark.parametrize(
    ("body", "kind", "answer"),
    (
        (file_of(colourful()), "png", (422, "not-greyscale")),
        (file_of(colourful(), "JPEG", quality=95), "jpeg", (422, "not-greyscale")),
        (file_of(colourful(), "TIFF"), "tiff", (422, "not-greyscale")),
        (file_of(palette_of_colours()), "png", (422, "not-greyscale")),
        (file_of(palette_of_colours(), "TIFF"), "tiff", (422, "not-greyscale")),
        (
            file_of(Image.merge("CMYK", [Image.fromarray(GREY)] * 4), "JPEG"),
            "jpeg",
            (422, "not-greyscale"),
        ),
        (file_of(np.dstack([GREY, GREY])), "png", (422, "transparency")),
        (file_of(GREY, transparency=0), "png", (422, "transparency")),
        (pages("TIFF"), "tiff", (422, "multi-frame")),
        (pages("PNG"), "png", (422, "multi-frame")),
        (imagecodecs.tiff_encode(GREY.astype(np.float32)), "tiff", (422, "sample-format")),
        (imagecodecs.tiff_encode(DEEP.astype(np.uint32)), "tiff", (422, "sample-format")),
        (imagecodecs.tiff_encode(DEEP.astype(np.int32)), "tiff", (422, "sample-format")),
        (file_of(GREY > 100, "TIFF"), "tiff", (422, "sample-format")),
        (file_of(GREY > 100), "png", (422, "sample-format")),
        (file_of(Image.fromarray(GREY // 16).convert("P"), bits=4), "png", (422, "sample-format")),
    ),
)
def test_what_is_turned_away(body, kind, answer):
    assert refusal(body, kind) == answer


@pytest.mark.parametrize("kind", ("png", "jpeg", "tiff"))
@pytest.mark.parametrize("keep", (0.02, 0.5, 0.9))
def test_files_that_break_off(kind, keep):
    noisy = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    body = file_of(noisy, kind.upper())
    status, _ = refusal(body[: int(len(body) * keep)], kind)
    assert status == 400


def test_other_sample_formats_are_refused_before_decoding(monkeypatch):
    bodies = [imagecodecs.tiff_encode(GREY.astype(kind)) for kind in (np.int32, np.float16)]
    monkeypatch.setattr(imagecodecs, "tiff_decode", lambda *_, **__: pytest.fail("decoded"))
    for body in bodies:
        assert refusal(body, "tiff") == (422, "sample-format")


def png_that_claims(columns, rows):
    def chunk(name, data):
        return (
            struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
        )

    header = struct.pack(">LLBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", (1001, 20_000, 60_000))
def test_bombs_are_refused_by_their_header(side, monkeypatch):
    for codec in ("png_decode", "jpeg8_decode", "tiff_decode"):
        monkeypatch.setattr(imagecodecs, codec, lambda *_, **__: pytest.fail("decoded"))
    assert refusal(png_that_claims(side, side)) == (413, "too-many-pixels")
    jpeg = bytearray(file_of(GREY, "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    assert refusal(bytes(jpeg), "jpeg") == (413, "too-many-pixels")
    tiff = imagecodecs.tiff_encode(GREY)
    tiff = tiff.replace(
        struct.pack("<HHL", 256, 3, 1) + b"\x38\0", struct.pack("<HHLH", 256, 3, 1, side)
    )
    tiff = tiff.replace(
        struct.pack("<HHL", 257, 3, 1) + b"\x48\0", struct.pack("<HHLH", 257, 3, 1, side)
    )
    assert refusal(bytes(tiff), "tiff") == (413, "too-many-pixels")


@pytest.mark.parametrize(
    ("body", "kind", "sample_bytes"),
    (
        (file_of(GREY), "png", 1),
        (imagecodecs.png_encode(DEEP), "png", 2),
        (imagecodecs.png_encode(rgb(DEEP)), "png", 8),
        (file_of(rgb(GREY), "JPEG"), "jpeg", 3),
        (file_of(DEEP, "TIFF"), "tiff", 2),
        (imagecodecs.tiff_encode(rgb(DEEP)), "tiff", 6),
    ),
)
def test_what_takes_too_much_memory_is_refused_by_its_header(body, kind, sample_bytes, monkeypatch):
    needed = len(body) + GREY.size * (5 + 2 * sample_bytes)
    read_raster_file(body, kind, ReadLimits(memory_bytes=needed))
    for codec in ("png_decode", "jpeg8_decode", "tiff_decode"):
        monkeypatch.setattr(imagecodecs, codec, lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(MammosegError) as caught:
        read_raster_file(body, kind, ReadLimits(memory_bytes=needed - 1))
    assert (caught.value.status, caught.value.code) == (422, "decode-limit")


def test_a_jpeg_of_many_scans_is_refused():
    body = file_of(GREY, "JPEG", progressive=True)
    scan = body.index(b"\xff\xda")
    many = body[:scan] + (b"\xff\xda\0\x08\1\1\0\0\0\0" * 100) + body[scan:]
    assert refusal(many, "jpeg") == (413, "too-many-scans")


UPLOADS = {
    "PNG": file_of(GREY),
    "PNG of 16 bits": bytes(imagecodecs.png_encode(DEEP)),
    "PNG with a palette": file_of(Image.fromarray(GREY).convert("P")),
    "JPEG": file_of(GREY, "JPEG"),
    "progressive JPEG": file_of(GREY, "JPEG", progressive=True),
    "JPEG of three channels": file_of(rgb(GREY), "JPEG"),
    "lossless JPEG": bytes(imagecodecs.jpeg8_encode(DEEP, lossless=True)),
    "TIFF": file_of(DEEP, "TIFF"),
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("kind", UPLOADS)
def test_what_follows_the_end_of_an_image_is_not_the_images(kind, trailer):
    format_ = next(name for name in ("png", "jpeg", "tiff") if name.upper() in kind)
    plain, caveats = read(UPLOADS[kind], format_)
    found, said = read(UPLOADS[kind] + TRAILERS[trailer], format_)
    np.testing.assert_array_equal(found, plain)
    assert said == caveats


def test_a_jpeg_that_breaks_off_before_what_follows_it():
    body = file_of(GREY, "JPEG")
    for trailer in ("padding", "text", "a scan", "fill bytes"):
        assert refusal(body[:-50] + TRAILERS[trailer], "jpeg") == (400, "pixel-data-corrupt")


def test_pillow_logs_no_tag_values(caplog):
    caplog.set_level(logging.DEBUG)
    read(file_of(GREY, "TIFF", description="CANARY"), "tiff")
    assert caplog.records == []
