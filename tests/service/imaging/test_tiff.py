import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from service.errors import MammosegError
from service.imaging.limits import ReadLimits
from service.imaging.rasters import read_raster_file
from service.imaging.reader import sniff
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


def packed_tiff(samples, bits, order="<", big=False, **tags):
    """Write an uncompressed TIFF whose samples follow each other without gaps (TIFF 6.0)."""
    rows, columns = samples.shape
    digits = ["".join(f"{value:0{bits}b}" for value in row) for row in samples.tolist()]
    data = b"".join(
        int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8)) for row in digits
    )
    if bits == 16:
        data = samples.astype(f"{order}u2").tobytes()
    data += b"\0" * (len(data) % 2)
    start = 16 if big else 8
    made = {256: columns, 257: rows, 258: bits, 259: 1, 262: 1, 273: start, 277: 1}
    made |= {278: rows, 279: len(data), 339: 1} | {int(tag[1:]): v for tag, v in tags.items()}
    return tiff_of(data, [(tag, value) for tag, value in made.items()], order, big)


def tiff_of(data, tags, order="<", big=False):
    """Write a TIFF or BigTIFF of LONG values; its data starts behind the header."""
    place, count = ("Q", "Q") if big else ("L", "H")
    entries = b"".join(
        struct.pack(f"{order}HH{place}L{'4x' if big else ''}", tag, 4, 1, value)
        for tag, value in sorted(tags)
    )
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}H", 43 if big else 42)
    head += struct.pack(f"{order}HH", 8, 0) if big else b""
    at = len(head) + struct.calcsize(f"={place}")
    directory = struct.pack(f"{order}{count}", len(tags)) + entries + bytes(8)
    return head + struct.pack(f"{order}{place}", at + len(data)) + data + directory


@pytest.mark.parametrize("big", (False, True), ids=("TIFF", "BigTIFF"))
@pytest.mark.parametrize("order", ("<", ">"), ids=("little", "big-endian"))
@pytest.mark.parametrize("bits", (8, 10, 12, 14, 15, 16))
def test_tiffs_of_packed_samples_fill_the_range(bits, order, big):
    samples = phantom(bits)
    expected = samples * (65535 / ((1 << bits) - 1))
    pixels, caveats = read(packed_tiff(samples, bits, order, big), "tiff")
    np.testing.assert_allclose(pixels, expected, atol=1)
    assert (pixels.min(), pixels.max()) == (0, 65535)
    assert caveats == []
    inverted = (1 << bits) - 1 - samples
    pixels, _ = read(packed_tiff(inverted, bits, order, big, t262=0), "tiff")
    np.testing.assert_allclose(pixels, expected, atol=1)


@pytest.mark.parametrize(("bits", "sample_format"), ((4, 1), (7, 1), (12, 2), (16, 3), (7, 4)))
def test_packed_samples_of_another_kind_are_refused(bits, sample_format):
    body = packed_tiff(phantom(bits), bits, t339=sample_format)
    assert refusal(body, "tiff") == (422, "sample-format")


@pytest.mark.parametrize("sample_format", (3, 5, 6, 7))
def test_samples_that_are_no_integers_are_refused(sample_format):
    body = packed_tiff(phantom(16), 16, t339=sample_format)
    assert refusal(body, "tiff") == (422, "sample-format")


@pytest.mark.parametrize("big", (False, True), ids=("TIFF", "BigTIFF"))
@pytest.mark.parametrize("order", ("<", ">"), ids=("little", "big-endian"))
@pytest.mark.parametrize("bits", (8, 10, 12, 15, 16))
def test_undefined_samples_are_unsigned(bits, order, big):
    samples = phantom(bits)
    plain = read(packed_tiff(samples, bits, order, big), "tiff")[0]
    body = packed_tiff(samples, bits, order, big, t339=4)
    np.testing.assert_array_equal(read(body, "tiff")[0], plain)
    np.testing.assert_array_equal(read(body, "tiff", frame=1)[0], plain)


def interleaved(channels, bits, order="<", **tags):
    stacked = np.dstack(channels).reshape(channels[0].shape[0], -1)
    columns = channels[0].shape[1]
    return packed_tiff(stacked, bits, order, t256=columns, t277=len(channels), **tags)


@pytest.mark.parametrize("fill", ("black", "white", "noise"))
@pytest.mark.parametrize("order", ("<", ">"), ids=("little", "big-endian"))
@pytest.mark.parametrize("sample_format", (1, 2, 4))
@pytest.mark.parametrize("bits", (8, 16))
def test_samples_that_nobody_specifies_are_no_opacity(bits, sample_format, order, fill):
    grey, top = phantom(bits), (1 << bits) - 1
    noise = np.random.default_rng(0).integers(0, top, grey.shape, np.int32)
    other = {"black": grey * 0, "white": grey * 0 + top, "noise": noise}[fill]
    how = {"t339": sample_format}
    plain = read(packed_tiff(grey, bits, order, **how), "tiff")[0]
    for channels in ([grey, other], [grey] * 3 + [other]):
        colours = {"t262": 1 if len(channels) == 2 else 2}
        body = interleaved(channels, bits, order, t338=0, **how, **colours)
        np.testing.assert_array_equal(read(body, "tiff")[0], plain)


@pytest.mark.parametrize("opacity", (1, 2))
@pytest.mark.parametrize("bits", (8, 12, 16))
def test_opacity_is_still_looked_at(bits, opacity):
    grey, top = phantom(bits), (1 << bits) - 1
    plain = read(packed_tiff(grey, bits), "tiff")[0]
    for channels in ([grey], [grey] * 3):
        colours = {"t262": 1 if len(channels) == 1 else 2, "t338": opacity}
        opaque = interleaved([*channels, grey * 0 + top], bits, **colours)
        np.testing.assert_array_equal(read(opaque, "tiff")[0], plain)
        clear = interleaved([*channels, grey * 0 + top - 1], bits, **colours)
        assert refusal(clear, "tiff") == (422, "transparency")


def test_colour_beside_an_unspecified_sample_is_still_colour():
    grey = phantom(8)
    body = interleaved([grey, grey, 255 - grey, grey], 8, t262=2, t338=0)
    assert refusal(body, "tiff") == (422, "not-greyscale")


def test_a_second_sample_of_which_nothing_is_said_counts_as_opacity():
    grey = phantom(8)
    assert refusal(interleaved([grey, grey * 0], 8), "tiff") == (422, "transparency")
    np.testing.assert_array_equal(
        read(interleaved([grey, grey * 0 + 255], 8), "tiff")[0],
        read(packed_tiff(grey, 8), "tiff")[0],
    )


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
    loop = body[:-8] + body[4:8]
    assert refusal(loop, "tiff") == (422, "multi-frame")
    assert refusal(loop, "tiff", frame=10**6) == (413, "too-many-frames")


@pytest.mark.parametrize("big", (False, True), ids=("TIFF", "BigTIFF"))
@pytest.mark.parametrize("order", ("<", ">"), ids=("little", "big-endian"))
def test_tiffs_that_break_off_are_refused_at_every_byte(order, big):
    body = packed_tiff(phantom(8, rows=9, columns=7), 8, order, big)
    assert sniff(body) == "tiff"
    # The last eight bytes say that there is no other directory.
    for length in range(5, len(body) - 8):
        status, _ = refusal(body[:length], "tiff")
        assert status == 400, length


@pytest.mark.parametrize("big", (False, True), ids=("TIFF", "BigTIFF"))
@pytest.mark.parametrize("order", ("<", ">"), ids=("little", "big-endian"))
@pytest.mark.parametrize(
    ("tags", "answer"),
    (
        # Found by fuzzing: 1,206 bytes, of which the decoder made 900 MB in four seconds.
        ({"t277": 65535}, (422, "not-greyscale")),
        ({"t277": 0}, (422, "not-greyscale")),
        ({"t322": 65520, "t323": 65520}, (413, "too-many-pixels")),
        ({"t322": 0, "t323": 16}, (400, "image-unreadable")),
        ({"t32997": 60_000}, (422, "multi-frame")),
        ({"t258": 2**32 - 1, "t262": 3, "t320": 0}, (400, "image-unreadable")),
        ({"t258": 2**32 - 1}, (422, "sample-format")),
        ({"t256": 0}, (400, "image-size")),
    ),
)
def test_what_a_few_bytes_would_blow_up_is_refused_before_decoding(
    tags, answer, order, big, monkeypatch
):
    monkeypatch.setattr(imagecodecs, "tiff_decode", lambda *_, **__: pytest.fail("decoded"))
    assert refusal(packed_tiff(phantom(8), 8, order, big, **tags), "tiff") == answer


def test_many_samples_are_counted_as_memory():
    body = packed_tiff(phantom(8), 8, t277=65535)
    limits = ReadLimits(memory_bytes=192 << 20)
    with pytest.raises(MammosegError) as caught:
        read_raster_file(body, "tiff", limits)
    assert (caught.value.status, caught.value.code) == (422, "decode-limit")


@pytest.mark.parametrize("tag", (256, 257, 258, 277, 322))
def test_a_tag_that_comes_twice_is_refused(tag):
    # The decoder goes by the first, others by the last.
    body = tiff_of(bytes(100), [(256, 10), (257, 10), (258, 8), (tag, 8), (tag, 60_000)])
    assert refusal(body, "tiff") == (400, "image-unreadable")


def test_a_directory_of_too_many_tags_is_refused():
    body = tiff_of(b"", [(tag, 1) for tag in range(1000, 6000)])
    assert refusal(body, "tiff") == (413, "too-many-elements")
