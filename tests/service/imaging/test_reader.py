import dataclasses
import inspect
import pickle

import numpy as np
import pytest
from PIL import Image

from service import errors
from service.errors import MammosegError
from service.imaging import reader
from service.imaging.mammogram import Caveat
from service.imaging.reader import ReadLimits, read_dicom, read_image, read_raster, sniff
from service.imaging.reduced_decoding import ReducedDecoding
from service.imaging.transfer_syntaxes import DEFLATED, EXPLICIT_LITTLE
from tests.dicom_files import SOP_INSTANCE_UID, dicom_file, meta_length, phantom
from tests.service.imaging.test_rasters import GREY, file_of
from tests.transfer_syntaxes import HTJ2K_LOSSLESS, JPEG_2000_LOSSLESS, JPEG_LS, RLE

pytestmark = pytest.mark.unit

LIMITS = ReadLimits(max_pixels=10**6, max_inflated_bytes=2**24)


def refusal(call, *arguments):
    with pytest.raises(MammosegError) as caught:
        call(*arguments)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    ("body", "kind"),
    (
        (dicom_file(), "dicom"),
        (dicom_file()[132:], "dicom"),
        (b"II*\0" + dicom_file()[4:], "dicom"),
        (file_of(GREY), "png"),
        (file_of(GREY, "JPEG"), "jpeg"),
        (file_of(GREY, "TIFF"), "tiff"),
        (file_of(GREY, "TIFF", big_tiff=True), "tiff"),
        (file_of(GREY, "BMP"), None),
        (b"", None),
        (b"hello", None),
    ),
)
def test_files_are_recognised_by_their_content(body, kind):
    assert sniff(body) == kind
    assert sniff(memoryview(body)) == kind


def test_a_mammogram_is_read_whole():
    mammogram = read_image(
        dicom_file(
            phantom(12),
            syntax=RLE,
            ImageLaterality="R",
            ViewPosition="MLO",
            ImagerPixelSpacing=[0.1, 0.08],
            BreastImplantPresent="YES",
            WindowCenter=[2000, 1],
            WindowWidth=[4000, 1],
        ),
        None,
        LIMITS,
    )
    assert (mammogram.rows, mammogram.columns) == (72, 56)
    assert mammogram.pixels.max() == 65535
    assert mammogram.pixel_spacing_mm == (0.1, 0.08)
    assert (mammogram.intent, mammogram.laterality) == ("presentation", "R")
    assert mammogram.view_position == "MLO"
    assert mammogram.sop_instance_uid == SOP_INSTANCE_UID
    assert mammogram.transfer_syntax_uid == RLE
    assert [caveat.code for caveat in mammogram.caveats] == ["voi-first-of-several", "implant"]


def test_content_outranks_the_declared_kind():
    assert read_image(dicom_file(), "png", LIMITS).sop_instance_uid == SOP_INSTANCE_UID
    assert read_image(file_of(GREY), "dicom", LIMITS).sop_instance_uid is None


def test_a_declared_kind_without_such_content():
    assert refusal(read_image, b"hello", "dicom", LIMITS) == (400, "not-dicom")
    assert refusal(read_image, b"hello", "png", LIMITS) == (400, "not-an-image")
    assert refusal(read_image, b"hello", None, LIMITS) == (400, "not-an-image")
    assert refusal(read_image, b"", "dicom", LIMITS) == (400, "empty-body")
    assert refusal(read_raster, dicom_file(), LIMITS) == (400, "not-an-image")


def test_what_is_not_recognised_is_said_to_be_neither():
    with pytest.raises(MammosegError) as caught:
        read_image(b"hello", None, LIMITS)
    assert "DICOM" in caught.value.detail


def test_a_header_that_lies_about_polarity_is_followed_and_said():
    right = read_dicom(dicom_file(), LIMITS)
    wrong = read_dicom(dicom_file(PhotometricInterpretation="MONOCHROME1"), LIMITS)
    assert right.caveats == ()
    assert [caveat.code for caveat in wrong.caveats] == ["background-bright"]
    np.testing.assert_array_equal(wrong.pixels, 65535 - right.pixels)


def test_an_invalid_uid_does_not_travel_on():
    mammogram = read_dicom(dicom_file(SOPInstanceUID="1.2.canary"), LIMITS)
    assert mammogram.sop_instance_uid is None
    assert [caveat.code for caveat in mammogram.caveats] == ["uid-ignored"]


def test_limits_reach_every_reader():
    small = ReadLimits(max_pixels=100, max_inflated_bytes=1000)
    assert refusal(read_dicom, dicom_file(), small) == (413, "too-many-pixels")
    assert refusal(read_dicom, dicom_file(syntax=DEFLATED), small) == (413, "inflates-too-far")
    assert refusal(read_raster, file_of(GREY), small) == (413, "too-many-pixels")
    anything = ReadLimits(accept_modalities=frozenset({"DX"}))
    assert refusal(read_dicom, dicom_file(), anything) == (422, "modality-not-accepted")


@pytest.mark.parametrize(
    ("syntax", "bytes_per_pixel"),
    ((EXPLICIT_LITTLE, 5), (RLE, 5), (JPEG_LS, 5), (JPEG_2000_LOSSLESS, 8), (HTJ2K_LOSSLESS, 8)),
)
def test_what_takes_too_much_memory_is_refused_before_it_is_decoded(
    syntax, bytes_per_pixel, monkeypatch
):
    body = dicom_file(syntax=syntax)
    needed = len(body) + 72 * 56 * bytes_per_pixel
    assert read_dicom(body, ReadLimits(memory_bytes=needed)).rows == 72
    monkeypatch.setattr(reader, "read_codes", lambda *_, **__: pytest.fail("decoded"))
    less = ReadLimits(memory_bytes=needed - 1)
    assert refusal(read_dicom, body, less) == (422, "decode-limit")


def test_a_deflated_file_counts_twice():
    body = dicom_file(syntax=DEFLATED)
    inflated = len(dicom_file()) - meta_length(dicom_file())
    needed = len(body) + inflated + 72 * 56 * 5
    assert read_dicom(body, ReadLimits(memory_bytes=needed)).rows == 72
    less = ReadLimits(memory_bytes=needed - 1)
    assert refusal(read_dicom, body, less) == (422, "decode-limit")


@pytest.mark.parametrize("surprise", (ValueError("canary"), RecursionError(), MemoryError()))
def test_nothing_foreign_gets_out(surprise, monkeypatch):
    def explode(*_):
        raise surprise

    monkeypatch.setattr(reader, "admit", explode)
    monkeypatch.setattr(reader, "read_raster_file", explode)
    too_much = isinstance(surprise, MemoryError)
    expected = (422, "decode-limit") if too_much else (400, "dicom-unreadable")
    assert refusal(read_dicom, dicom_file(), LIMITS) == expected
    expected = (422, "decode-limit") if too_much else (400, "image-unreadable")
    assert refusal(read_raster, file_of(GREY), LIMITS) == expected


def test_no_message_holds_anything_from_the_file():
    canary = "CANARY"
    for elements in (
        {"Modality": canary},
        {"PhotometricInterpretation": canary},
        {"SOPInstanceUID": canary, "WindowCenter": 1, "WindowWidth": 0, "ViewPosition": canary},
    ):
        body = dicom_file(PatientName=canary, PatientID=canary, **elements)
        try:
            mammogram = read_dicom(body, LIMITS)
        except MammosegError as refused:
            said = str(refused) + refused.detail
        else:
            said = repr(dataclasses.replace(mammogram, pixels=np.zeros((1, 1), np.uint16)))
        assert canary not in said


@pytest.mark.parametrize(
    ("elements", "reduction", "half"),
    (
        ({"PixelSpacing": [0.1, 0.1]}, ReducedDecoding(0.2), True),
        ({"PixelSpacing": [0.1, 0.1]}, ReducedDecoding(0.19), False),
        ({"PixelSpacing": [0.1, 0.1]}, None, False),
        ({}, ReducedDecoding(0.2), False),
        ({}, ReducedDecoding(0.2, (0.1, 0.1)), True),
        ({"PixelSpacing": [0.1, 0.1], "PixelPaddingValue": 0}, ReducedDecoding(0.2), False),
    ),
)
def test_half_the_resolution_is_read_where_it_suffices(elements, reduction, half):
    body = dicom_file(syntax=JPEG_2000_LOSSLESS, **elements)
    whole = read_dicom(body, LIMITS)
    read = read_image(body, None, LIMITS, reduction=reduction)
    assert read.pixels.shape == whole.pixels.shape
    assert np.array_equal(read.pixels, whole.pixels) is not half
    assert (read.halved, whole.halved) == (half, False)
    assert np.abs(read.pixels.astype(int) - whole.pixels).mean() < 2000
    assert dataclasses.replace(read, pixels=whole.pixels).caveats == whole.caveats
    native = dicom_file(**elements)
    read = read_image(native, None, LIMITS, reduction=reduction)
    np.testing.assert_array_equal(read.pixels, read_dicom(native, LIMITS).pixels)
    assert not read.halved


def test_everything_pickles():
    mammogram = read_dicom(dicom_file(), LIMITS)
    again = pickle.loads(pickle.dumps(mammogram))
    np.testing.assert_array_equal(again.pixels, mammogram.pixels)
    assert pickle.loads(pickle.dumps((read_dicom, LIMITS)))[0] is read_dicom
    assert Caveat("a", "b") == pickle.loads(pickle.dumps(Caveat("a", "b")))


def test_every_refusal_is_a_client_error():
    refusals = {name for name, kind in inspect.getmembers(errors, inspect.isclass)}
    assert {"UnreadableImage", "TooLarge", "UnsupportedMedia", "UnsuitableImage"} <= refusals
    assert Image.MAX_IMAGE_PIXELS is not None
