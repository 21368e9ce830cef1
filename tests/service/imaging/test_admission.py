import pytest

from service.errors import MammosegError
from service.imaging.admission import admit
from service.imaging.dicom import parse
from service.imaging.transfer_syntaxes import IMPLICIT_LITTLE
from tests.dicom_files import dataset, dicom_file, multi_frame_file, phantom, write
from tests.transfer_syntaxes import RLE

pytestmark = pytest.mark.unit

MG = frozenset({"MG"})


def layout_of(body, **limits):
    return admit(
        parse(body, 2**24),
        limits.get("max_pixels", 10**6),
        limits.get("accept_modalities", MG),
        limits.get("frame"),
    )


def refusal(body, **limits):
    with pytest.raises(MammosegError) as caught:
        layout_of(body, **limits)
    return caught.value.status, caught.value.code


def test_the_layout_of_a_mammogram():
    layout = layout_of(dicom_file(phantom(12), PhotometricInterpretation="MONOCHROME1"))
    assert (layout.rows, layout.columns) == (72, 56)
    assert (layout.bits_allocated, layout.bits_stored, layout.high_bit) == (16, 12, 11)
    assert not layout.signed
    assert layout.photometric_interpretation == "MONOCHROME1"
    assert layout.frame_bytes == 72 * 56 * 2
    assert layout_of(dicom_file(phantom(12, signed=True), signed=True)).signed


@pytest.mark.parametrize(
    ("elements", "answer"),
    (
        ({"Modality": "CT"}, (422, "modality-not-accepted")),
        ({"Modality": None}, (422, "modality-not-accepted")),
        ({"Modality": ""}, (422, "modality-not-accepted")),
        ({"NumberOfFrames": 2}, (422, "multi-frame")),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}, (422, "multi-frame")),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.4"}, (422, "multi-frame")),
        ({"SamplesPerPixel": 3}, (422, "not-greyscale")),
        ({"PhotometricInterpretation": "RGB"}, (422, "not-greyscale")),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, (422, "not-greyscale")),
        ({"PhotometricInterpretation": None}, (422, "not-greyscale")),
        ({"Rows": None}, (400, "image-size")),
        ({"Rows": 0}, (400, "image-size")),
        ({"Columns": 0}, (400, "image-size")),
        ({"Columns": [56, 56]}, (400, "image-size")),
        ({"Rows": 65535, "Columns": 65535}, (413, "too-many-pixels")),
        ({"BitsAllocated": 32}, (400, "pixel-format")),
        ({"BitsAllocated": 12}, (400, "pixel-format")),
        ({"BitsAllocated": None}, (400, "pixel-format")),
        ({"BitsStored": 17}, (400, "pixel-format")),
        ({"BitsStored": 0}, (400, "pixel-format")),
        ({"HighBit": 16}, (400, "pixel-format")),
        ({"HighBit": 10}, (400, "pixel-format")),
        ({"PixelRepresentation": 2}, (400, "pixel-format")),
        ({"Rows": 73}, (400, "pixel-data-truncated")),
        ({"NumberOfFrames": 2**31 - 1}, (422, "multi-frame")),
    ),
)
def test_what_is_turned_away(elements, answer):
    assert refusal(dicom_file(phantom(12), **elements)) == answer


@pytest.mark.parametrize(
    ("frames", "frame", "answer"),
    (
        (3, 4, (400, "no-such-frame")),
        (3, 0, (400, "no-such-frame")),
        (1, 2, (400, "no-such-frame")),
        (-7, 2, (400, "no-such-frame")),
        (0, 2, (400, "no-such-frame")),
        (4096, 4096, (400, "pixel-data-truncated")),
        (4097, 1, (413, "too-many-frames")),
        (2**31 - 1, 1, (413, "too-many-frames")),
    ),
)
def test_frames_that_are_turned_away(frames, frame, answer):
    assert refusal(dicom_file(NumberOfFrames=frames), frame=frame) == answer


def test_a_frame_is_let_in_when_its_bytes_are_there():
    body = multi_frame_file([phantom(12)] * 3)
    for frame in (1, 2, 3):
        assert layout_of(body, frame=frame).frames == 3
    cut = body[: -2 * 72 * 56 - 2]
    assert layout_of(cut, frame=1).frames == 3
    assert refusal(cut, frame=2) == (400, "pixel-data-truncated")
    one = dicom_file()
    assert layout_of(one, frame=1).frames == 1


def test_the_limit_is_a_frames():
    body = multi_frame_file([phantom(12)] * 3)
    assert layout_of(body, frame=3, max_pixels=72 * 56).frames == 3
    assert refusal(body, frame=3, max_pixels=72 * 56 - 1) == (413, "too-many-pixels")


@pytest.mark.parametrize("frames", (-7, 0, None))
def test_a_number_of_frames_that_makes_no_sense_is_one(frames):
    assert layout_of(dicom_file(NumberOfFrames=frames)).frames == 1


def test_what_may_be_missing():
    layout = layout_of(
        dicom_file(
            phantom(12),
            NumberOfFrames=1,
            SamplesPerPixel=None,
            HighBit=None,
            PixelRepresentation=None,
            SOPClassUID=None,
        )
    )
    assert (layout.high_bit, layout.signed) == (11, False)
    assert layout_of(dicom_file(phantom(16), bits_stored=16, BitsStored=None)).bits_stored == 16


def test_the_operator_may_accept_other_modalities():
    body = dicom_file(Modality="DX")
    assert layout_of(body, accept_modalities=frozenset({"MG", "DX"})).rows == 72
    assert refusal(body) == (422, "modality-not-accepted")


def test_the_limit_itself_is_let_in():
    assert layout_of(dicom_file(phantom(12)), max_pixels=72 * 56).rows == 72
    assert refusal(dicom_file(phantom(12)), max_pixels=72 * 56 - 1) == (413, "too-many-pixels")


def test_an_object_without_pixels():
    assert refusal(write(dataset(None))) == (422, "no-pixel-data")
    floats = dataset(phantom(12))
    floats.add_new("FloatPixelData", "OF", b"\0" * 72 * 56 * 4)
    assert refusal(write(floats)) == (422, "no-pixel-data")


@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, RLE))
def test_a_file_that_breaks_off_in_its_header(syntax):
    body = dicom_file(syntax=syntax)
    assert refusal(body[: body.index(b"Canary") + 3]) == (400, "truncated")


def test_native_pixel_data_that_breaks_off():
    body = dicom_file()
    assert refusal(body[:-2]) == (400, "pixel-data-truncated")


def test_native_pixel_data_of_undefined_length():
    body = dicom_file()
    at = body.rindex(b"OW\0\0") + 4
    assert refusal(body[:at] + b"\xff" * 4 + body[at + 4 :]) == (400, "pixel-data-corrupt")
