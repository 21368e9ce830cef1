from itertools import pairwise
from struct import pack

import numpy as np
import pytest
from pydicom.encaps import encapsulate

from service.errors import MammosegError, UnreadableImage
from service.imaging import decode
from service.imaging.reader import ReadLimits, read_dicom
from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from tests.dicom_files import dicom_file, encode, phantom, to_codes
from tests.service.imaging.decoded import decoded
from tests.service.imaging.displayed import stretched
from tests.thinned import thinned
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, RLE

pytestmark = pytest.mark.unit


def fragments(*parts, table=b""):
    items = b"".join(
        b"\xfe\xff\x00\xe0" + len(part).to_bytes(4, "little") + part for part in (table, *parts)
    )
    return items + b"\xfe\xff\xdd\xe0\0\0\0\0"


@pytest.mark.parametrize("syntax", (RLE, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS))
def test_a_frame_in_several_fragments_and_with_bytes_after_it(syntax):
    values = phantom(12)
    frame = encode(values, syntax, 16, 12)
    frame += b"\0" * (len(frame) % 2)
    middle = len(frame) // 2
    for data in (
        fragments(frame[:middle], frame[middle:]),
        fragments(frame[:middle], b"", frame[middle:], table=b"\0\0\0\0"),
        fragments(frame + b"\0\0") + b"trailing bytes",
        fragments(frame)[:-8],
    ):
        body = dicom_file(values, syntax=syntax, pixel_data=data)
        np.testing.assert_array_equal(decoded(body), values)


@pytest.mark.parametrize("table", (b"", b"\0\0\0\0"))
@pytest.mark.parametrize("hidden", (b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x00\xe0\4\0\0\0"))
def test_delimiters_inside_a_fragment_are_pixels(hidden, table):
    values = phantom(12)
    frame = encode(values, JPEG_2000_LOSSLESS, 16, 12)
    at = frame.index(b"\xff\x52")
    comment = b"\xff\x64" + (4 + len(hidden)).to_bytes(2, "big") + b"\0\0" + hidden
    frame = frame[:at] + comment + frame[at:]
    for data in (fragments(frame, table=table), fragments(frame[: at + 8], frame[at + 8 :])):
        body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, pixel_data=data)
        np.testing.assert_array_equal(decoded(body), values)


@pytest.mark.parametrize("cut", (30, 300))
def test_a_fragment_that_breaks_off(cut):
    frame = np.random.default_rng(0).integers(0, 4096, (72, 56), np.int32)
    with pytest.raises(UnreadableImage) as refusal:
        decoded(dicom_file(frame, syntax=RLE)[:-cut])
    assert refusal.value.code == "pixel-data-truncated"


def test_two_frames_in_the_offset_table_are_refused():
    frame = encode(phantom(12), RLE, 16, 12)
    data = fragments(frame, frame, table=b"\0\0\0\0" + (len(frame) + 8).to_bytes(4, "little"))
    with pytest.raises(MammosegError) as refusal:
        decoded(dicom_file(syntax=RLE, pixel_data=data))
    assert (refusal.value.status, refusal.value.code) == (422, "multi-frame")


def test_an_offset_table_that_leads_elsewhere_cannot_smuggle_another_size(monkeypatch):
    monkeypatch.setattr(decode, "decode_frame", lambda *_, **__: pytest.fail("decoded"))
    honest = encode(phantom(12), JPEG_LS, 16, 12)
    other = encode(phantom(12, rows=200, columns=100), JPEG_LS, 16, 12)
    table = (len(honest) + 8).to_bytes(4, "little")
    body = dicom_file(syntax=JPEG_LS, pixel_data=fragments(honest, other, table=table))
    with pytest.raises(MammosegError) as refusal:
        decoded(body)
    assert (refusal.value.status, refusal.value.code) == (422, "multi-frame")


SYNTAXES = (RLE, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS)


def cut(frame, parts):
    """Cut a frame into parts of even length."""
    frame += b"\0" * (len(frame) % 2)
    ends = [len(frame) * part // parts // 2 * 2 for part in range(parts + 1)]
    return [frame[start:end] for start, end in pairwise(ends)]


def offsets(parts, *, start=0, end=False):
    """List where each part lies, and the end of them all if that is asked for."""
    places = [start]
    for part in parts:
        places.append(places[-1] + 8 + len(part))
    return places if end else places[:-1]


TABLES = {
    "none": lambda parts: b"",
    "the frame": lambda parts: pack("<L", 0),
    "every fragment": lambda parts: pack(f"<{len(parts)}L", *offsets(parts)),
    "the end too": lambda parts: pack("<2L", 0, offsets(parts, end=True)[-1]),
    "every fragment and the end": lambda parts: pack(
        f"<{len(parts) + 1}L", *offsets(parts, end=True)
    ),
    "zeros": lambda parts: bytes(4 * len(parts) + 4),
    "from the start of the value": lambda parts: pack(
        f"<{len(parts)}L", *offsets(parts, start=8 + 4 * len(parts))
    ),
    "beyond the end": lambda parts: pack("<2L", 0, 2**32 - 1),
    "downwards": lambda parts: pack("<3L", 0, 5000, 9),
    "inside a fragment": lambda parts: pack("<2L", 0, 21),
    "of eight bytes each": lambda parts: pack("<2Q", 0, len(parts[0]) + 8),
    "of odd length": lambda parts: b"\0\0\0\0\0\0",
    "of no zero": lambda parts: pack("<L", 8),
}


@pytest.mark.parametrize("parts", thinned((2, 1, 4), 3))
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_of_one_frame_no_offset_table_decides(syntax, table, parts):
    """Number of Frames does (PS3.5 A.4, PS3.3 C.7.6.6); absent, or 1, or asked for by number."""
    values = phantom(12)
    pieces = cut(encode(values, syntax, 16, 12), parts)
    data = fragments(*pieces, table=TABLES[table](pieces))
    for elements in ({}, {"NumberOfFrames": 1}, {"NumberOfFrames": ""}):
        body = dicom_file(values, syntax=syntax, pixel_data=data, **elements)
        np.testing.assert_array_equal(decoded(body), values)
        for frame in (None, 1):
            assert read_dicom(body, ReadLimits(), frame).pixels.shape == values.shape


@pytest.mark.parametrize("extended", ([0], [7], [0, 100], [2**64 - 1], []))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_of_one_frame_no_extended_offset_table_decides(syntax, extended):
    values = phantom(12)
    body = dicom_file(
        values,
        syntax=syntax,
        pixel_data=fragments(*cut(encode(values, syntax, 16, 12), 2)),
        ExtendedOffsetTable=pack(f"<{len(extended)}Q", *extended),
        ExtendedOffsetTableLengths=bytes(8 * len(extended)),
    )
    np.testing.assert_array_equal(decoded(body), values)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_two_tables_and_none_at_all(syntax):
    values = phantom(12)
    (frame,) = cut(encode(values, syntax, 16, 12), 1)
    twice = fragments(b"", frame, table=b"\0\0\0\0")
    none = fragments(frame)[8:]
    for data in (twice, none, fragments(b"", b"", frame, b"")):
        body = dicom_file(values, syntax=syntax, pixel_data=data)
        np.testing.assert_array_equal(decoded(body), values)


@pytest.mark.parametrize("parts", thinned((3, 1), 2))
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_of_several_frames_a_table_is_followed_where_it_makes_sense(syntax, table, parts):
    stack = [phantom(12), phantom(12)[::-1].copy(), phantom(12)[:, ::-1].copy()]
    coded = [cut(encode(one, syntax, 16, 12), parts) for one in stack]
    lengths = [sum(8 + len(piece) for piece in one) for one in coded]
    right = pack("<3L", 0, lengths[0], lengths[0] + lengths[1])
    pieces = [piece for one in coded for piece in one]
    for listed in (TABLES[table](pieces), right):
        data = fragments(*pieces, table=listed)
        body = dicom_file(stack[0], syntax=syntax, pixel_data=data, NumberOfFrames=3)
        for number, stored in enumerate(stack, start=1):
            shown = read_dicom(body, ReadLimits(), number).pixels
            np.testing.assert_array_equal(shown, stretched(stored, 0, 4095))


def test_several_codestreams_of_one_frame_are_several_frames():
    for syntax in SYNTAXES:
        (frame,) = cut(encode(phantom(12), syntax, 16, 12), 1)
        for table in (b"", b"\0\0\0\0", pack("<2L", 0, len(frame) + 8)):
            body = dicom_file(syntax=syntax, pixel_data=fragments(frame, frame, table=table))
            with pytest.raises(MammosegError) as refusal:
                decoded(body)
            assert (refusal.value.status, refusal.value.code) == (422, "multi-frame")


def test_encapsulated_data_under_a_native_syntax_and_the_other_way_round():
    wrapped = encapsulate([encode(phantom(12), RLE, 16, 12)])
    native = to_codes(phantom(12), 16, 12).tobytes()
    as_native = dicom_file(pixel_data=wrapped, syntax=RLE).replace(
        RLE.encode() + b"\0\2\0", EXPLICIT_LITTLE.encode() + b"\0\2\0"
    )
    as_rle = dicom_file(pixel_data=native).replace(
        EXPLICIT_LITTLE.encode() + b"\0\2\0", RLE.encode() + b"\0\2\0"
    )
    for body in (as_native, as_rle):
        with pytest.raises(UnreadableImage) as refusal:
            decoded(body)
        assert refusal.value.code == "pixel-data-corrupt"
