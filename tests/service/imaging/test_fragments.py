import numpy as np
import pytest
from pydicom.encaps import encapsulate

from service.errors import MammosegError, UnreadableImage
from service.imaging import decode
from service.imaging.dicom import (
    EXPLICIT_LITTLE,
    RLE,
)
from tests.dicom_files import dicom_file, encode, phantom, to_codes
from tests.service.imaging.decoded import JPEG_2000_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, decoded

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
    monkeypatch.setattr(decode, "decode_frame", lambda *_: pytest.fail("decoded"))
    honest = encode(phantom(12), JPEG_LS, 16, 12)
    other = encode(phantom(12, rows=200, columns=100), JPEG_LS, 16, 12)
    table = (len(honest) + 8).to_bytes(4, "little")
    body = dicom_file(syntax=JPEG_LS, pixel_data=fragments(honest, other, table=table))
    with pytest.raises(UnreadableImage) as refusal:
        decoded(body)
    assert refusal.value.code == "pixel-data-corrupt"


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
