"""One frame of a multi-frame object, pixels and header."""

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.errors import MammosegError
from service.imaging import decode, elements
from service.imaging.dicom import parse
from service.imaging.frames import MAX_FRAMES
from service.imaging.memory_file import MAX_READS, ReadLimitedFile
from service.imaging.reader import ReadLimits, read_dicom
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from tests.dicom_files import multi_frame_file, phantom
from tests.service.imaging.test_photometry import stretched, table
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, RLE

pytestmark = pytest.mark.unit

LIMITS = ReadLimits(max_pixels=10**6, max_inflated_bytes=2**24)
NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
MULTI_FRAME_WORD = "1.2.840.10008.5.1.4.1.1.7.3"


def frames(bits=12, rows=72, columns=56):
    """Three frames that nobody can confuse, each over the full range."""
    upright = phantom(bits, rows=rows, columns=columns)
    return [upright, upright[::-1].copy(), upright[:, ::-1].copy()]


def group(**macros):
    made = Dataset()
    for macro, values in macros.items():
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(made, macro, Sequence([item]))
    return made


def refusal(body, frame):
    with pytest.raises(MammosegError) as caught:
        read_dicom(body, LIMITS, frame)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(("allocated", "bits"), ((8, 8), (16, 12)))
def test_native_frames(syntax, allocated, bits):
    for columns in (55, 56):
        stack = frames(bits, rows=71, columns=columns)
        body = multi_frame_file(stack, syntax=syntax, bits_allocated=allocated, bits_stored=bits)
        for number, stored in enumerate(stack, start=1):
            pixels = read_dicom(body, LIMITS, number).pixels
            np.testing.assert_array_equal(pixels, stretched(stored, 0, (1 << bits) - 1))


def test_big_endian_words_of_eight_bit_samples():
    stack = frames(8, rows=71, columns=55)
    body = multi_frame_file(stack, syntax=EXPLICIT_BIG, bits_allocated=8, bits_stored=8)
    at = body.rindex(b"OB")
    start = at + 8
    swapped = np.frombuffer(body[start:] + b"\0" * (len(body[start:]) % 2), ">u2").astype("<u2")
    words = body[:at] + b"OW" + body[at + 2 : start] + swapped.tobytes()
    for number, stored in enumerate(stack, start=1):
        np.testing.assert_array_equal(
            read_dicom(words, LIMITS, number).pixels, stretched(stored, 0, 255)
        )


@pytest.mark.parametrize(
    ("table", "fragments"), (("basic", 1), ("basic", 2), ("extended", 1), ("none", 1), ("none", 2))
)
@pytest.mark.parametrize("syntax", (RLE, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS))
def test_compressed_frames(syntax, table, fragments):
    stack = frames()
    # A frame of RLE is one fragment (PS3.5 A.4.2).
    fragments = 1 if syntax == RLE else fragments
    body = multi_frame_file(stack, syntax=syntax, table=table, fragments=fragments)
    for number, stored in enumerate(stack, start=1):
        np.testing.assert_array_equal(
            read_dicom(body, LIMITS, number).pixels, stretched(stored, 0, 4095)
        )


def test_only_the_frame_asked_for_is_decoded(monkeypatch):
    decoded = []

    def spy(*arguments, **options):
        decoded.append(arguments[0])
        return original(*arguments, **options)

    original = decode.decode_frame
    monkeypatch.setattr(decode, "decode_frame", spy)
    read_dicom(multi_frame_file(frames(), syntax=RLE), LIMITS, 2)
    assert len(decoded) == 1


def test_without_a_wish_the_refusal_says_how():
    with pytest.raises(MammosegError) as caught:
        read_dicom(multi_frame_file(frames()), LIMITS)
    assert (caught.value.status, caught.value.code) == (422, "multi-frame")
    assert "frame=" in caught.value.detail
    single = multi_frame_file(frames()[:1])
    assert refusal(single, None) == (422, "multi-frame")
    assert read_dicom(single, LIMITS, 1).frame == 1


@pytest.mark.parametrize("table", ("basic", "extended", "none"))
def test_a_frame_that_its_table_does_not_lead_to(table):
    body = multi_frame_file(frames()[:2], syntax=RLE, table=table, NumberOfFrames=5)
    assert refusal(body, 5) == (400, "pixel-data-corrupt")
    assert refusal(body, 6) == (400, "no-such-frame")


def test_an_extended_offset_table_that_leads_nowhere():
    body = multi_frame_file(
        frames(),
        syntax=RLE,
        ExtendedOffsetTable=b"\xff" * 24,
        ExtendedOffsetTableLengths=b"\xff" * 24,
    )
    # With as many fragments as frames, each has one.
    np.testing.assert_array_equal(
        read_dicom(body, LIMITS, 2).pixels, stretched(frames()[1], 0, 4095)
    )


def test_frames_of_different_sizes_cannot_be_smuggled():
    stack = frames()
    stack[1] = phantom(12, rows=300, columns=300)
    body = multi_frame_file(stack, syntax=JPEG_LS)
    assert refusal(body, 2) == (400, "codestream-size")
    assert read_dicom(body, LIMITS, 3).rows == 72


SHARED = group(
    PixelMeasuresSequence={"PixelSpacing": [0.1, 0.09]},
    FrameAnatomySequence={"FrameLaterality": "R"},
    PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": -100},
    FrameVOILUTSequence={"WindowCenter": 4000, "WindowWidth": 4000},
)


def windowed(stored, center, width, slope=2, intercept=-100):
    low = center - 0.5 - (width - 1) / 2
    return stretched(stored * slope + intercept, low, low + width - 1)


@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG))
def test_shared_functional_groups(syntax):
    stack = frames()
    body = multi_frame_file(stack, syntax=syntax, SharedFunctionalGroupsSequence=Sequence([SHARED]))
    mammogram = read_dicom(body, LIMITS, 3)
    np.testing.assert_array_equal(mammogram.pixels, windowed(stack[2], 4000, 4000))
    assert mammogram.pixel_spacing_mm == (0.1, 0.09)
    assert (mammogram.laterality, mammogram.frame) == ("R", 3)
    assert [caveat.code for caveat in mammogram.caveats] == ["frame-of-several"]


@pytest.mark.parametrize("undefined_items", (False, True))
@pytest.mark.parametrize("undefined", (False, True))
@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG))
def test_a_frames_own_group_outranks_the_shared_one(syntax, undefined, undefined_items):
    stack = frames()
    own = [
        group(
            PixelMeasuresSequence={"PixelSpacing": [0.1 * number, 0.1]},
            FrameVOILUTSequence={"WindowCenter": 3000 + number, "WindowWidth": 1000},
        )
        for number in (1, 2, 3)
    ]
    per_frame = Sequence(own)
    per_frame.is_undefined_length = undefined
    for item in own:
        item.is_undefined_length_sequence_item = undefined_items
    body = multi_frame_file(
        stack,
        syntax=syntax,
        SharedFunctionalGroupsSequence=Sequence([SHARED]),
        PerFrameFunctionalGroupsSequence=per_frame,
        WindowCenter=1,
        WindowWidth=1,
    )
    for number in (1, 2, 3):
        mammogram = read_dicom(body, LIMITS, number)
        assert mammogram.pixel_spacing_mm == pytest.approx((0.1 * number, 0.1))
        assert mammogram.laterality == "R"
        np.testing.assert_array_equal(
            mammogram.pixels, windowed(stack[number - 1], 3000 + number, 1000)
        )


def test_a_frames_voi_table():
    stack = frames()
    entries = [int(4095 * (i / 4095) ** 2) for i in range(4096)]
    own = group(FrameVOILUTSequence={"VOILUTSequence": Sequence([table(entries, 0, 12)])})
    body = multi_frame_file(stack, PerFrameFunctionalGroupsSequence=Sequence([own, own, own]))
    expected = np.rint(np.array(entries)[stack[1]] / 4095 * 65535)
    np.testing.assert_array_equal(read_dicom(body, LIMITS, 2).pixels, expected)


def test_a_frames_first_of_many_full_voi_tables():
    stack = frames(16)
    squares = (np.arange(65536) ** 2 // 65535).tolist()
    own = group(FrameVOILUTSequence={"VOILUTSequence": [table(squares, 0, 16) for _ in range(5)]})
    body = multi_frame_file(
        stack, bits_stored=16, PerFrameFunctionalGroupsSequence=Sequence([own, own, own])
    )
    np.testing.assert_array_equal(read_dicom(body, LIMITS, 2).pixels, np.array(squares)[stack[1]])


def test_an_object_with_fewer_groups_than_frames():
    body = multi_frame_file(
        frames(),
        SharedFunctionalGroupsSequence=Sequence([SHARED]),
        PerFrameFunctionalGroupsSequence=Sequence([group()]),
    )
    assert read_dicom(body, LIMITS, 3).pixel_spacing_mm == (0.1, 0.09)


def test_the_magnification_of_a_projection_is_in_its_geometry():
    shared = group(
        XRayGeometrySequence={"DistanceSourceToDetector": 660, "DistanceSourceToPatient": 330}
    )
    body = multi_frame_file(
        frames()[:1],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.13.1.4",
        ImagerPixelSpacing=[0.1, 0.1],
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )
    mammogram = read_dicom(body, LIMITS, 1)
    assert mammogram.pixel_spacing_mm == (0.05, 0.05)
    assert [caveat.code for caveat in mammogram.caveats] == ["special-view"]


def test_imager_pixel_spacing_of_a_projection_is_in_its_pixel_data_properties():
    shared = group(FramePixelDataPropertiesSequence={"ImagerPixelSpacing": [0.1, 0.09]})
    body = multi_frame_file(
        frames()[:1],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.13.1.4",
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )
    mammogram = read_dicom(body, LIMITS, 1)
    assert mammogram.pixel_spacing_mm == (0.1, 0.09)
    assert mammogram.caveats == ()


def test_orientation_of_a_frame_is_in_its_plane():
    own = [
        group(PlaneOrientationSequence={"ImageOrientationPatient": [0, -1, 0, side, 0, 0]})
        for side in (-1, 1, -1)
    ]
    body = multi_frame_file(frames(), PerFrameFunctionalGroupsSequence=Sequence(own))
    assert read_dicom(body, LIMITS, 1).orientation == ("A", "R")
    assert read_dicom(body, LIMITS, 2).orientation == ("A", "L")


def test_an_only_frame_is_the_same_whether_it_is_asked_for_or_not():
    body = multi_frame_file(
        frames()[:1],
        SOPClassUID=MULTI_FRAME_WORD,
        SharedFunctionalGroupsSequence=Sequence([SHARED]),
    )
    asked, unasked = read_dicom(body, LIMITS, 1), read_dicom(body, LIMITS)
    np.testing.assert_array_equal(unasked.pixels, asked.pixels)
    np.testing.assert_array_equal(unasked.pixels, windowed(frames()[0], 4000, 4000))
    for mammogram in (asked, unasked):
        assert (mammogram.pixel_spacing_mm, mammogram.laterality) == ((0.1, 0.09), "R")
    assert asked.header == unasked.header


def test_a_multi_frame_film_scan_has_no_groups():
    body = multi_frame_file(
        frames(),
        SOPClassUID=MULTI_FRAME_WORD,
        PresentationIntentType=None,
        NominalScannedPixelSpacing=[0.05, 0.05],
    )
    mammogram = read_dicom(body, LIMITS, 2)
    assert (mammogram.intent, mammogram.pixel_spacing_mm) == ("film", (0.05, 0.05))


def test_the_number_of_frames_is_bounded():
    body = multi_frame_file(frames(), NumberOfFrames=MAX_FRAMES + 1)
    assert refusal(body, 1) == (413, "too-many-frames")


def test_groups_that_never_end_are_left_out_in_no_time():
    """Empty items of undefined length, each of which has to be taken apart to be stepped over."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\xfe\xff\x0d\xe0\0\0\0\0"
    body = multi_frame_file(
        frames(), NumberOfFrames=MAX_FRAMES, PerFrameFunctionalGroupsSequence=Sequence([group()])
    )
    at = body.index(b"\x00\x52\x30\x92SQ")
    (length,) = struct.unpack_from("<L", body, at + 8)
    many = item * 300_000
    hostile = body[: at + 8] + struct.pack("<L", len(many)) + many + body[at + 12 + length :]
    file = parse(hostile, 2**24)
    assert len(file.dataset.get_item(0x52009230).value) == len(many)
    reads = []

    class Counted(ReadLimitedFile):
        def read(self, size=-1):
            reads.append(size)
            return super().read(size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "ReadLimitedFile", Counted)
        assert elements.item(file.dataset, "PerFrameFunctionalGroupsSequence", 299_999) is None
    assert len(reads) == MAX_READS + 1
