"""The same picture in other samples: depth, sign, polarity, overlay bits, padding."""

import numpy as np
import pytest

from tests.dicom_files import dicom_file, phantom, to_codes
from tests.service.imaging.displayed import FULL, shown, stretched

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("bits", (8, 10, 12, 14, 16))
@pytest.mark.parametrize("signed", (False, True))
def test_twins_of_every_depth_give_the_same_pixels(bits, signed):
    tall = phantom(8)
    allocated = 8 if bits == 8 else 16
    scaled = tall << (bits - 8)
    values = scaled - (1 << (bits - 1)) if signed else scaled
    pixels, _ = shown(dicom_file(values, bits_stored=bits, bits_allocated=allocated, signed=signed))
    np.testing.assert_array_equal(
        pixels, shown(dicom_file(tall, bits_stored=8, bits_allocated=8))[0]
    )


@pytest.mark.parametrize(
    "elements",
    (
        {},
        {"WindowCenter": 1500, "WindowWidth": 1001, "VOILUTFunction": "LINEAR_EXACT"},
        {"RescaleSlope": 1, "RescaleIntercept": 0},
    ),
)
def test_a_monochrome1_twin_gives_the_same_pixels(elements):
    values = phantom(12)
    twin = dict(elements)
    if "WindowCenter" in twin:
        twin["WindowCenter"] = 4095 - twin["WindowCenter"]
    plain, _ = shown(dicom_file(values, **elements))
    inverted, _ = shown(dicom_file(4095 - values, PhotometricInterpretation="MONOCHROME1", **twin))
    np.testing.assert_allclose(inverted.astype(int), plain.astype(int), atol=1)


def test_overlay_bits_do_not_show():
    values = phantom(12)
    marked = to_codes(values, 16, 12)
    marked[10:20, 10:20] |= 0xF000
    np.testing.assert_array_equal(
        shown(dicom_file(values, codes=marked))[0], shown(dicom_file(values))[0]
    )


@pytest.mark.parametrize("signed", (False, True))
@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
def test_padding_becomes_the_darkest_and_sets_no_range(photometric, signed):
    values = phantom(12, signed=signed) // 4
    bright = photometric == "MONOCHROME2"
    padding = (2047 if signed else 4095) if bright else (-2048 if signed else 0)
    inside = values.copy() if bright else values + 700
    padded = inside.copy()
    padded[:, 40:] = padding
    pixels, _ = shown(
        dicom_file(
            padded,
            signed=signed,
            PhotometricInterpretation=photometric,
            PixelPaddingValue=padding & 0xFFFF if signed is False else padding,
        )
    )
    kept = inside[:, :40]
    expected = stretched(kept, kept.min(), kept.max())
    assert not pixels[:, 40:].any()
    np.testing.assert_array_equal(pixels[:, :40], expected if bright else FULL - expected)


def test_padding_written_as_unsigned_under_signed_samples():
    values = phantom(12, signed=True) // 2
    values[:, 40:] = -2000
    built = dicom_file(values, signed=True, PixelPaddingValue=-2000)
    rewritten = built.replace(b"\x28\0\x20\x01SS\2\0", b"\x28\0\x20\x01US\2\0")
    assert rewritten != built
    np.testing.assert_array_equal(shown(rewritten)[0], shown(built)[0])
    assert shown(rewritten)[0][:, :40].min() == 0
    assert len(set(shown(rewritten)[0][:, 40:].ravel())) == 1


def test_a_range_of_padding_in_either_order():
    values = phantom(12) // 2 + 100
    values[:4], values[4:8] = 3000, 3050
    for first, second in ((3000, 3050), (3050, 3000)):
        pixels, _ = shown(
            dicom_file(values, PixelPaddingValue=first, PixelPaddingRangeLimit=second)
        )
        assert not pixels[:8].any()
        assert pixels[8:].max() == FULL
