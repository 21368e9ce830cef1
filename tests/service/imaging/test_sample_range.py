"""Pictures of few bits in many: seen, judged and warned of as their eight-bit twins are."""

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from service.imaging.sample_range import full_range, in_own_bits, own_bits, without_painted
from tests.dicom_files import phantom
from tests.service.imaging.raster_files import file_of, read, refusal

KINDS = ("png", "tiff", "jpeg")


def written(samples, kind):
    if kind == "jpeg":
        return bytes(imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=16))
    return imagecodecs.png_encode(samples) if kind == "png" else imagecodecs.tiff_encode(samples)


@pytest.mark.unit
@pytest.mark.parametrize("bits", range(8, 17))
def test_the_ends_of_the_range_stay_ends_and_order_is_kept(bits):
    samples = np.arange(1 << bits, dtype=np.uint16)
    spread = full_range(samples, bits).astype(float)
    np.testing.assert_allclose(spread, samples * (65535 / samples[-1]), atol=1)
    assert (spread[0], spread[-1]) == (0, 65535)
    assert (np.diff(spread) >= 1).all()


@pytest.mark.unit
@pytest.mark.parametrize(("largest", "bits"), ((0, 8), (255, 8), (256, 9), (4095, 12), (4096, 13)))
def test_as_many_bits_count_as_the_largest_sample_needs(largest, bits):
    for kind in (np.uint16, np.int16):
        assert in_own_bits(np.array([[0, largest]], kind))[1] == bits


@pytest.mark.unit
@pytest.mark.parametrize(
    ("ends", "expected", "bits"),
    (
        ((0, 4095), (0, 4095), 12),
        ((-2048, 2047), (0, 4095), 12),
        ((-1, 2047), (2047, 4095), 12),
        ((-2049, 0), (2047, 4096), 13),
        ((-32768, 32767), (0, 65535), 16),
    ),
)
def test_twos_complement_is_moved_up_by_half_of_its_own_bits(ends, expected, bits):
    samples, found = in_own_bits(np.array([ends], np.int16))
    assert samples.dtype == np.uint16
    assert (tuple(samples[0]), found) == (expected, bits)


@pytest.mark.unit
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", (9, 10, 12, 14))
def test_a_picture_of_few_bits_in_sixteen_fills_the_range_and_says_so(kind, bits):
    deep = phantom(bits).astype(np.uint16)
    pixels, caveats = read(written(deep, kind), kind)
    np.testing.assert_allclose(pixels, deep * (65535 / deep.max()), atol=1)
    assert caveats == ["bits-guessed"]


@pytest.mark.unit
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", (8, 10, 12, 14))
def test_its_white_background_is_inverted(kind, bits):
    deep = phantom(bits).astype(np.uint16)
    pixels, caveats = read(written(deep.max() - deep, kind), kind)
    np.testing.assert_allclose(pixels, deep * (65535 / deep.max()), atol=1)
    assert caveats == ["bits-guessed", "polarity-guessed"]


@pytest.mark.unit
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("negative", (False, True))
@pytest.mark.parametrize("painted", (4096, 40_000, 65535))
@pytest.mark.parametrize("bits", (10, 12))
def test_a_label_or_a_dead_pixel_is_no_sample(bits, painted, negative, kind):
    deep = phantom(bits).astype(np.uint16)
    deep = deep.max() - deep if negative else deep
    label = deep.copy()
    label[:2, :9], label[40, 30] = painted, painted
    clean, _ = read(written(deep, kind), kind)
    pixels, caveats = read(written(label, kind), kind)
    beside = label != painted
    np.testing.assert_array_equal(pixels[beside], clean[beside])
    assert set(pixels[~beside]) == {0 if negative else 65535}
    assert caveats == ["bits-guessed", *["polarity-guessed"] * negative]


@pytest.mark.unit
@pytest.mark.parametrize("samples", ([[0, 9000]], [[0, 300, 9000, 9001]], [[0, 100, 9000]]))
def test_a_picture_of_few_values_is_not_taken_for_a_label(samples):
    drawn = np.array(samples, np.uint16)
    np.testing.assert_array_equal(without_painted(drawn, 14)[0], drawn)
    assert without_painted(drawn, 14)[1] == 14


@pytest.mark.unit
@pytest.mark.parametrize("opacity", (255, 1023, 4095, 65535))
def test_full_opacity_of_fewer_bits_is_opaque(opacity):
    grey = phantom(8).astype(np.uint16)

    def body(alpha):
        return imagecodecs.tiff_encode(np.dstack([grey, alpha]), photometric=1, extrasample=2)

    alpha = np.full_like(grey, opacity)
    np.testing.assert_array_equal(
        read(body(alpha), "tiff")[0], read(imagecodecs.tiff_encode(grey), "tiff")[0]
    )
    for change in (-1, 1) if opacity in (1023, 4095) else (-1,):
        alpha[3, 3] = opacity + change
        assert refusal(body(alpha), "tiff") == (422, "transparency")


@pytest.mark.unit
@pytest.mark.parametrize("photometric", (0, 1))
@pytest.mark.parametrize("offset", (0, 2048))
def test_signed_samples_of_few_bits_fill_the_range(offset, photometric):
    deep = phantom(12)
    stored = (deep if photometric else 4095 - deep) - offset
    body = imagecodecs.tiff_encode(stored.astype(np.int16), photometric=photometric)
    pixels, caveats = read(body, "tiff")
    np.testing.assert_allclose(pixels, deep * (65535 / 4095), atol=1)
    assert caveats == ["bits-guessed"]


@pytest.mark.unit
@pytest.mark.parametrize("planes", (1, 2), ids=("alternating", "one after the other"))
@pytest.mark.parametrize("kind", (np.uint8, np.uint16, np.int16))
def test_planes_that_follow_each_other_are_read_as_those_that_alternate(kind, planes):
    grey = phantom(8 if kind is np.uint8 else 15).astype(kind)
    plain = read(imagecodecs.tiff_encode(grey), "tiff")[0]
    stack, how = (np.dstack, np.stack)[planes - 1], {"photometric": 2, "planarconfig": planes}
    colour = imagecodecs.tiff_encode(stack([grey] * 3), **how)
    np.testing.assert_array_equal(read(colour, "tiff")[0], plain)
    colourful = imagecodecs.tiff_encode(stack([grey, grey[::-1], grey]), **how)
    assert refusal(colourful, "tiff") == (422, "not-greyscale")
    how = {"photometric": 1, "planarconfig": planes, "extrasample": 0}
    extra = imagecodecs.tiff_encode(stack([grey, grey * 0]), **how)
    np.testing.assert_array_equal(read(extra, "tiff")[0], plain)


@pytest.mark.unit
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "how",
    (
        {"level": 98, "bitspersample": 12},
        {"lossless": True, "bitspersample": 12},
        {"lossless": True, "bitspersample": 16},
    ),
)
def test_exif_orientation_of_deep_jpegs_is_applied(how, orientation):
    deep = phantom(how["bitspersample"]).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = file_of(np.zeros((8, 8), np.uint8), "JPEG", exif=exif)
    segment = turned[turned.index(b"Exif\0\0") - 4 :]
    segment = segment[: 2 + int.from_bytes(segment[2:4], "big")]
    plain = bytes(imagecodecs.jpeg8_encode(deep, **how))
    pixels, caveats = read(plain[:2] + segment + plain[2:], "jpeg")
    upright = Image.fromarray(read(plain, "jpeg")[0].astype(np.int32))
    steps = {2: [0], 3: [3], 4: [1], 5: [5], 6: [4], 7: [6], 8: [2]}.get(orientation, [])
    for step in steps:
        upright = upright.transpose(Image.Transpose(step))
    np.testing.assert_array_equal(pixels, np.asarray(upright))
    assert caveats == ([] if orientation == 1 else ["orientation-applied"])


@pytest.mark.integration
@pytest.mark.parametrize("bits", (10, 11, 12, 14))
def test_real_films_and_their_negatives_look_like_their_eight_bit_twins(small_films, bits):
    for small in small_films:
        deep = (small.astype(int) * ((1 << bits) - 1) // int(small.max())).astype(np.uint16)
        twin = (deep >> (bits - 8)).astype(np.uint8)
        for negative in (False, True):
            shown = [
                read(imagecodecs.png_encode(each.max() - each if negative else each))
                for each in (deep, twin)
            ]
            assert np.abs(shown[0][0].astype(int) - shown[1][0]).max() < 600
            assert shown[0][1] == ["bits-guessed", *shown[1][1]]
            assert ("polarity-guessed" in shown[1][1]) is negative


def labelled(samples):
    """Return samples with white letters as programs draw them: smooth."""
    drawn = np.zeros(samples.shape, np.uint8)
    for row, thick in ((60, 2), (120, 6)):
        cv2.putText(
            drawn, "R CC", (20, row), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, thick, cv2.LINE_AA
        )
    share = drawn / 255
    return np.rint(samples * (1 - share) + 65535 * share).astype(np.uint16), drawn > 0


@pytest.mark.integration
@pytest.mark.parametrize("bits", (10, 12, 14))
@pytest.mark.parametrize("negative", (False, True))
def test_smooth_letters_in_real_films_are_no_samples(small_films, bits, negative):
    for small in small_films:
        deep = (small.astype(int) * ((1 << bits) - 1) // int(small.max())).astype(np.uint16)
        deep = deep.max() - deep if negative else deep
        label, drawn = labelled(deep)
        clean, _ = read(imagecodecs.png_encode(deep))
        pixels, caveats = read(imagecodecs.png_encode(label))
        np.testing.assert_array_equal(pixels[~drawn], clean[~drawn])
        assert caveats == ["bits-guessed", *["polarity-guessed"] * negative]


@pytest.mark.integration
@pytest.mark.parametrize("negative", (False, True))
def test_smooth_letters_in_signed_films_are_no_samples(small_films, negative):
    for small in small_films:
        deep = (small.astype(int) * 1023 // int(small.max())).astype(np.uint16)
        deep = deep.max() - deep if negative else deep
        label, drawn = labelled(deep)
        clean, _ = in_own_bits(deep.astype(np.int16) - np.int16(512))
        samples, bits = in_own_bits(np.minimum(label.astype(int) - 512, 32767).astype(np.int16))
        assert bits == 10
        np.testing.assert_array_equal(samples[~drawn], clean[~drawn])


@pytest.mark.integration
@pytest.mark.parametrize("negative", (False, True))
def test_no_sample_of_a_real_film_of_all_bits_is_taken_for_a_label(small_films, negative):
    for small in small_films:
        full = np.iinfo(np.uint16).max - small if negative else small
        bits = int(full.max()).bit_length()
        assert own_bits(full, bits) == bits
