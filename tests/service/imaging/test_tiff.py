import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.dicom_files import phantom
from tests.service.imaging.raster_files import DEEP, GREY, file_of, read, refusal

pytestmark = pytest.mark.unit


def test_a_tiff_that_says_its_zero_is_white_is_not_guessed_at():
    for samples, deep in ((GREY, GREY.astype(np.uint16) * 257), (DEEP, DEEP)):
        inverted = np.iinfo(samples.dtype).max - samples
        pixels, caveats = read(imagecodecs.tiff_encode(inverted, photometric=0), "tiff")
        np.testing.assert_array_equal(pixels, deep)
        assert caveats == []
    upside_down, caveats = read(imagecodecs.tiff_encode(GREY, photometric=0), "tiff")
    np.testing.assert_array_equal(upside_down, (255 - GREY).astype(np.uint16) * 257)
    assert caveats == []


@pytest.mark.parametrize(
    "samples", (phantom(8).astype(np.uint8).view(np.int8), DEEP.view(np.int16)), ids=("8", "16")
)
def test_signed_samples_keep_their_order(samples):
    half = 1 << (8 * samples.dtype.itemsize - 1)
    unsigned = (samples.astype(np.int32) + half).astype(f"u{samples.dtype.itemsize}")
    assert samples.min() < 0
    signed, plain = (read(imagecodecs.tiff_encode(each), "tiff") for each in (samples, unsigned))
    np.testing.assert_array_equal(signed[0], plain[0])
    assert signed[1] == plain[1]


def packed_tiff(samples, bits, order="<", photometric=1, sample_format=1):
    """Write an uncompressed TIFF whose samples follow each other without gaps (TIFF 6.0)."""
    rows, columns = samples.shape
    digits = ["".join(f"{value:0{bits}b}" for value in row) for row in samples.tolist()]
    data = b"".join(
        int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8)) for row in digits
    )
    if bits == 16:
        data = samples.astype(f"{order}u2").tobytes()
    data += b"\0" * (len(data) % 2)
    tags = {256: columns, 257: rows, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: rows, 279: len(data), 339: sample_format}
    entries = b"".join(
        struct.pack(f"{order}HHLL" if tag in (273, 279) else f"{order}HHLHxx", tag, kind, 1, value)
        for tag, value in tags.items()
        for kind in (4 if tag in (273, 279) else 3,)
    )
    start = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + b"\0" * 4
    return start + struct.pack(f"{order}L", 8 + len(data)) + data + directory


@pytest.mark.parametrize("order", ("<", ">"))
@pytest.mark.parametrize("bits", (8, 10, 12, 14, 15, 16))
def test_tiffs_of_packed_samples_fill_the_range(bits, order):
    samples = phantom(bits)
    expected = samples * 257 if bits == 8 else samples << (16 - bits)
    pixels, caveats = read(packed_tiff(samples, bits, order), "tiff")
    np.testing.assert_array_equal(pixels, expected)
    assert caveats == []
    inverted = (1 << bits) - 1 - samples
    pixels, _ = read(packed_tiff(inverted, bits, order, photometric=0), "tiff")
    assert np.abs(pixels.astype(int) - expected).max() < 1 << (16 - min(bits, 15))


@pytest.mark.parametrize(("bits", "sample_format"), ((4, 1), (7, 1), (12, 2), (16, 3), (12, 4)))
def test_packed_samples_of_another_kind_are_refused(bits, sample_format):
    body = packed_tiff(phantom(bits), bits, sample_format=sample_format)
    assert refusal(body, "tiff") == (422, "sample-format")


def test_a_page_is_read_on_request():
    pages = [GREY, GREY[::-1].copy(), GREY[:, ::-1].copy()]
    images = [Image.fromarray(page) for page in pages]
    body = file_of(images[0], "TIFF", save_all=True, append_images=images[1:])
    assert refusal(body, "tiff") == (422, "multi-frame")
    for number, page in enumerate(pages, start=1):
        pixels, _ = read(body, "tiff", frame=number)
        np.testing.assert_array_equal(pixels, page.astype(np.uint16) * 257)
    assert refusal(body, "tiff", frame=4) == (400, "no-such-frame")
    assert refusal(file_of(GREY, "TIFF"), "tiff", frame=2) == (400, "no-such-frame")
    read(file_of(GREY, "TIFF"), "tiff", frame=1)


@pytest.mark.parametrize("tag", ({254: 1}, {254: 4}, {255: 2}))
def test_thumbnails_and_masks_in_a_tiff_are_no_pages(tag):
    ((number, value),) = tag.items()
    small = Image.fromarray(GREY[::4, ::4].copy())
    small.encoderinfo = {"tiffinfo": {number: value}}
    for images in ([small, Image.fromarray(GREY)], [Image.fromarray(GREY), small]):
        body = file_of(images[0], "TIFF", save_all=True, append_images=images[1:])
        np.testing.assert_array_equal(read(body, "tiff")[0], GREY.astype(np.uint16) * 257)
    assert refusal(file_of(GREY, "TIFF", tiffinfo=tag), "tiff") == (400, "image-unreadable")


def test_a_tiff_that_never_ends_is_refused():
    body = packed_tiff(phantom(8), 8)
    loop = body[:-4] + body[4:8]
    assert refusal(loop, "tiff") == (422, "multi-frame")
    assert refusal(loop, "tiff", frame=10**6) == (413, "too-many-frames")
