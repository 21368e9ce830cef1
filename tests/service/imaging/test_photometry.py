from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.imaging.photometry import apply_window
from service.imaging.transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.dicom_files import dicom_file, phantom
from tests.service.imaging.displayed import FULL, shown, stretched

pytestmark = pytest.mark.unit


def table(entries, first, bits, vr="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, first % 65536, bits])
    item.add_new("LUTData", vr, list(entries))
    return item


# Expected values below are worked out by hand from PS3.3 C.11.2.1.2.1 and C.11.2.1.3.


def test_linear_window_by_hand():
    # c = 2048, w = 4096: x <= 2048 - 0.5 - 2047.5 = 0 is black, x > 4095 white.
    values = np.array([-5.0, 0.0, 1.0, 2047.5, 4095.0, 5000.0])
    out = apply_window(values, 2048.0, 4096.0, "LINEAR")
    np.testing.assert_allclose(out, [0, 0, 1 / 4095, 0.5, 1, 1], atol=1e-12)


def test_linear_window_of_width_one_is_a_step():
    out = apply_window(np.array([9.0, 9.5, 9.6, 10.0]), 10.0, 1.0, "LINEAR")
    np.testing.assert_array_equal(out, [0, 0, 1, 1])


def test_linear_exact_window_by_hand():
    out = apply_window(np.array([-1.0, 0.0, 25.0, 50.0, 100.0]), 50.0, 100.0, "LINEAR_EXACT")
    np.testing.assert_allclose(out, [0, 0, 0.25, 0.5, 1], atol=1e-12)


def test_sigmoid_window_by_hand():
    out = apply_window(np.array([-1e9, 50.0, 75.0, 1e9]), 50.0, 100.0, "SIGMOID")
    np.testing.assert_allclose(out, [0, 0.5, 1 / (1 + np.exp(-1.0)), 1], atol=1e-9)


def test_without_any_voi_the_observed_range_is_shown():
    values = phantom(12) // 4 + 100
    pixels, caveats = shown(dicom_file(values))
    np.testing.assert_array_equal(pixels, stretched(values, values.min(), values.max()))
    assert caveats == []


@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
@pytest.mark.parametrize("label", ([65535], [65535, 40_000, 9000]))
def test_what_was_painted_beyond_it_does_not_widen_the_observed_range(label, photometric):
    clean = phantom(12) // 4 + 100
    values = clean.copy()
    values[0, : len(label)] = label
    as_written = {"bits_stored": 16, "PhotometricInterpretation": photometric}
    expected = stretched(clean, clean.min(), clean.max())
    if photometric == "MONOCHROME1":
        expected = FULL - expected
    pixels, _ = shown(dicom_file(values, **as_written))
    np.testing.assert_array_equal(pixels[1:], expected[1:])
    assert set(pixels[0, : len(label)]) == {0 if photometric == "MONOCHROME1" else FULL}


def labelled(values, *greys):
    """Paint smooth letters, as wide as those of viewers, and say where something is painted."""
    drawn = np.zeros(values.shape, bool)
    for row, grey in enumerate(greys):
        letters = np.zeros(values.shape, np.uint8)
        at = (240, 80 + 100 * row)
        cv2.putText(letters, "R MLO", at, cv2.FONT_HERSHEY_SIMPLEX, 2.0, 255, 6, cv2.LINE_AA)
        letters = cv2.blur(letters, (3, 3))
        share = letters / 255
        values = np.rint(values * (1 - share) + grey * share).astype(np.int32)
        drawn |= letters > 0
    return values, drawn


@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
@pytest.mark.parametrize(
    ("offset", "greys", "padding"),
    (
        (0, [65535], None),
        (0, [65535], 0),
        (0, [65535], 65535),
        (0, [65535, 30_000], None),
        (0, [65535, 30_000], 0),
        (512, [32767], None),
        (512, [32767], -512),
        (1, [32767], None),
    ),
)
def test_smooth_letters_widen_it_neither_beside_padding_nor_signed(
    offset, greys, padding, photometric
):
    clean = phantom(10, rows=600, columns=480) - offset
    values, drawn = labelled(clean, *greys)
    written = {"bits_stored": 16, "signed": offset > 0, "PhotometricInterpretation": photometric}
    if padding is not None:
        written["PixelPaddingValue"] = padding
    pixels, _ = shown(dicom_file(values, **written))
    expected, _ = shown(dicom_file(clean, **written))
    np.testing.assert_array_equal(pixels[~drawn], expected[~drawn])
    assert np.median(pixels[drawn]) in {0, FULL}


@pytest.mark.parametrize("grey", (1500, 2046))
def test_what_is_not_much_brighter_is_tissue(grey):
    values, _ = labelled(phantom(10, rows=600, columns=480), grey)
    pixels, _ = shown(dicom_file(values))
    np.testing.assert_array_equal(pixels, stretched(values, 0, grey))


@pytest.mark.parametrize("function", ("LINEAR", "LINEAR_EXACT", "SIGMOID", None))
def test_the_window_of_the_file_is_applied(function):
    values = phantom(12)
    pixels, caveats = shown(
        dicom_file(values, WindowCenter=1500, WindowWidth=1000, VOILUTFunction=function)
    )
    expected = apply_window(values.astype(float), 1500, 1000, function or "LINEAR")
    np.testing.assert_array_equal(pixels, np.rint(expected * FULL))
    assert caveats == []


def test_the_window_applies_to_rescaled_values():
    values = phantom(12)
    pixels, _ = shown(
        dicom_file(
            values, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=2000, WindowWidth=2000
        )
    )
    expected = apply_window((values * 2.0 - 1000).astype(np.float64), 2000, 2000, "LINEAR")
    np.testing.assert_array_equal(pixels, np.rint(expected * FULL))


def test_a_negative_slope_turns_the_image_over():
    values = phantom(12)
    pixels, _ = shown(dicom_file(values, RescaleSlope=-1, RescaleIntercept=4095))
    np.testing.assert_array_equal(pixels, FULL - stretched(values, 0, 4095))


@pytest.mark.parametrize("bad", ({"RescaleSlope": 0, "RescaleIntercept": 5}, {"RescaleSlope": 2}))
def test_a_rescale_that_is_not_usable(bad):
    values = phantom(12)
    pixels, caveats = shown(dicom_file(values, **bad))
    np.testing.assert_array_equal(pixels, stretched(values, 0, 4095))
    assert caveats == ["rescale-ignored"]


def test_the_first_of_several_windows():
    values = phantom(12)
    pixels, caveats = shown(dicom_file(values, WindowCenter=[1500, 500], WindowWidth=[1000, 100]))
    expected = apply_window(values.astype(float), 1500, 1000, "LINEAR")
    np.testing.assert_array_equal(pixels, np.rint(expected * FULL))
    assert caveats == ["voi-first-of-several"]


@pytest.mark.parametrize(
    "bad",
    (
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 100, "WindowWidth": 0.5},
        {"WindowCenter": 100, "WindowWidth": -400},
        {"WindowCenter": 100, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 100, "WindowWidth": 400, "VOILUTFunction": "CUBIC"},
        {"WindowCenter": 100},
        {"WindowWidth": 100},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": [100, 200], "WindowWidth": 400},
        {"WindowCenter": -90000, "WindowWidth": 10},
    ),
)
def test_broken_windows_fall_back(bad):
    values = phantom(12)
    pixels, caveats = shown(dicom_file(values, **bad))
    np.testing.assert_array_equal(pixels, stretched(values, 0, 4095))
    assert caveats == ["window-ignored"]


def mismatched(count, entries):
    item = table(entries, 0, 12)
    item.LUTDescriptor = [count, 0, 12]
    return item


BROKEN_TABLES = (
    Dataset(),
    mismatched(4096, range(4095)),
    mismatched(4095, range(4096)),
    mismatched(4096, []),
    table([0] * 4096, 0, 12),
    table(range(4096), 0, 17),
    table(range(4096), 5000, 12),
)


@pytest.mark.parametrize("bad", BROKEN_TABLES)
def test_a_broken_voi_table_gives_way_to_the_window(bad):
    values = phantom(12)
    window: dict[str, Any] = {"WindowCenter": 1500, "WindowWidth": 1000}
    pixels, caveats = shown(dicom_file(values, VOILUTSequence=Sequence([bad]), **window))
    np.testing.assert_array_equal(pixels, shown(dicom_file(values, **window))[0])
    assert caveats == ["voi-lut-ignored"]


@pytest.mark.parametrize("bad", BROKEN_TABLES)
def test_a_broken_voi_table_alone_gives_way_to_the_observed_range(bad):
    values = phantom(12)
    pixels, caveats = shown(dicom_file(values, VOILUTSequence=Sequence([bad])))
    np.testing.assert_array_equal(pixels, stretched(values, 0, 4095))
    assert caveats == ["voi-lut-ignored"]


def test_both_broken_are_both_said():
    values = phantom(12)
    broken = Sequence([mismatched(4096, range(9))])
    pixels, caveats = shown(
        dicom_file(values, VOILUTSequence=broken, WindowCenter=1, WindowWidth=0)
    )
    np.testing.assert_array_equal(pixels, stretched(values, 0, 4095))
    assert caveats == ["voi-lut-ignored", "window-ignored"]


def test_a_broken_modality_table_is_left_out_and_said():
    values = phantom(12)
    broken = Sequence([mismatched(4096, range(9))])
    pixels, caveats = shown(dicom_file(values, ModalityLUTSequence=broken))
    np.testing.assert_array_equal(pixels, stretched(values, 0, 4095))
    assert caveats == ["modality-lut-ignored"]


def test_a_flat_image_stays_flat():
    pixels, caveats = shown(dicom_file(np.full((8, 8), 77, np.int32)))
    assert not pixels.any()
    assert caveats == []


@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG))
def test_the_voi_table_outranks_the_window(syntax):
    values = phantom(12)
    entries = [int(1023 * (i / 999) ** 2) for i in range(1000)]
    pixels, caveats = shown(
        dicom_file(
            values,
            syntax=syntax,
            VOILUTSequence=Sequence([table(entries, 1000, 10)]),
            WindowCenter=100,
            WindowWidth=400,
        )
    )
    looked_up = np.array(entries)[np.clip(values - 1000, 0, 999)]
    np.testing.assert_array_equal(pixels, np.rint(looked_up / 1023 * FULL))
    assert caveats == []


@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
@pytest.mark.parametrize(("stated", "taken"), ((16, 8), (16, 10), (16, 12), (16, 15), (10, 12)))
def test_a_voi_table_that_states_other_bits_than_it_takes_is_as_bright_as_a_right_one(
    stated, taken, photometric
):
    values = phantom(12)
    entries = [round(((1 << taken) - 1) * (i / 4095) ** 2) for i in range(4096)]

    def with_bits(bits):
        tables = Sequence([table(entries, 0, bits)])
        return shown(
            dicom_file(values, VOILUTSequence=tables, PhotometricInterpretation=photometric)
        )

    right, caveats = with_bits(taken)
    assert caveats == []
    pixels, caveats = with_bits(stated)
    np.testing.assert_array_equal(pixels, right)
    assert caveats == ["voi-lut-scaled"]


def test_a_modality_table_is_not_scaled_whatever_bits_it_states():
    values = phantom(12)
    entries = [4095 - i for i in range(4096)]
    window: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096}
    right, _ = shown(dicom_file(4095 - values, **window))
    for bits in (10, 12, 16):
        tables = Sequence([table(entries, 0, bits)])
        pixels, caveats = shown(dicom_file(values, ModalityLUTSequence=tables, **window))
        np.testing.assert_array_equal(pixels, right)
        assert caveats == []


@pytest.mark.parametrize("undefined", (False, True), ids=("stated length", "undefined length"))
@pytest.mark.parametrize("tables", (1, 4, 9))
def test_however_many_full_tables_there_are_the_first_is_used(tables, undefined):
    values = phantom(16)
    squares = (np.arange(65536) ** 2 // 65535).tolist()
    several = Sequence([table(squares, 0, 16, "OW") for _ in range(tables)])
    for each in several:
        each["LUTData"].value = np.array(squares, "<u2").tobytes()
    several.is_undefined_length = undefined
    body = dicom_file(values, bits_stored=16, VOILUTSequence=several, WindowCenter=1, WindowWidth=1)
    pixels, caveats = shown(body)
    np.testing.assert_array_equal(pixels, np.array(squares)[values])
    assert caveats == ([] if tables == 1 else ["voi-first-of-several"])


def test_the_first_of_several_voi_tables():
    values = phantom(12)
    both = Sequence([table([0, 1023], 2000, 10), table([0, 3], 0, 2)])
    pixels, caveats = shown(dicom_file(values, VOILUTSequence=both))
    np.testing.assert_array_equal(pixels, np.where(values > 2000, FULL, 0))
    assert caveats == ["voi-first-of-several"]


@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
@pytest.mark.parametrize("shape", ("IDENTITY", "INVERSE"))
def test_the_shape_of_the_presentation_inverts_nothing(photometric, shape):
    plain, _ = shown(dicom_file(PhotometricInterpretation=photometric))
    pixels, caveats = shown(
        dicom_file(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    )
    np.testing.assert_array_equal(pixels, plain)
    agrees = (photometric == "MONOCHROME1") == (shape == "INVERSE")
    assert caveats == ([] if agrees else ["presentation-lut-shape-ignored"])


def test_the_modality_table_comes_first():
    values = phantom(12)
    entries = [4095 - i for i in range(4096)]
    pixels, _ = shown(
        dicom_file(
            values,
            ModalityLUTSequence=Sequence([table(entries, 0, 16)]),
            WindowCenter=2048,
            WindowWidth=4096,
        )
    )
    np.testing.assert_array_equal(pixels, stretched(4095 - values, 0, 4095))
