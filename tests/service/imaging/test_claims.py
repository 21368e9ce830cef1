"""What a codestream says of itself, against what the header says of it."""

import imagecodecs
import numpy as np
import pytest

from service.errors import UnreadableImage
from service.imaging import decode
from service.imaging.transfer_syntaxes import ENCAPSULATED
from tests.dicom_files import dicom_file, encode, phantom, rle_frame, to_codes
from tests.service.imaging.decoded import decoded
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS, JPEG_BASELINE, JPEG_LS, RLE

pytestmark = pytest.mark.unit


def test_charls_never_sees_a_stream_without_an_end(monkeypatch):
    monkeypatch.setattr(imagecodecs, "jpegls_decode", lambda *_: pytest.fail("decoded"))
    frame = encode(phantom(12), JPEG_LS, 16, 12)[:-4]
    with pytest.raises(UnreadableImage):
        decoded(dicom_file(syntax=JPEG_LS, frame=frame))


@pytest.mark.parametrize("syntax", sorted(ENCAPSULATED))
def test_a_codestream_of_another_size_is_refused_before_decoding(syntax, monkeypatch):
    monkeypatch.setattr(decode, "decode_frame", lambda *_: pytest.fail("decoded"))
    bits = 8 if syntax == JPEG_BASELINE else 12
    large = phantom(bits, rows=90, columns=90)
    allocated = 8 if bits == 8 else 16
    frame = encode(large, syntax, allocated, bits)
    if syntax == RLE:
        frame = frame[:80]
    body = dicom_file(
        phantom(bits), syntax=syntax, frame=frame, bits_stored=bits, bits_allocated=allocated
    )
    with pytest.raises(UnreadableImage) as refusal:
        decoded(body)
    assert refusal.value.code == ("pixel-data-corrupt" if syntax == RLE else "codestream-size")


@pytest.mark.parametrize("keep", (0.3, 0.7, 0.97))
@pytest.mark.parametrize("syntax", sorted(ENCAPSULATED))
def test_a_codestream_that_breaks_off_is_refused(syntax, keep):
    bits = 8 if syntax == JPEG_BASELINE else 12
    values = phantom(bits)
    values += np.random.default_rng(0).integers(0, 2, values.shape, np.int32) * (values < 200)
    frame = encode(values, syntax, 8 if bits == 8 else 16, bits)
    frame = frame[: int(len(frame) * keep) // 2 * 2]
    body = dicom_file(
        values, syntax=syntax, frame=frame, bits_stored=bits, bits_allocated=8 if bits == 8 else 16
    )
    with pytest.raises(UnreadableImage) as refusal:
        decoded(body)
    assert refusal.value.code == "pixel-data-corrupt"
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_an_rle_segment_that_ends_early_shows_no_old_memory():
    short = rle_frame(to_codes(phantom(12)[:-10], 16, 12))
    with pytest.raises(UnreadableImage):
        decoded(dicom_file(phantom(12), syntax=RLE, frame=short))


def test_signed_samples_that_were_coded_as_unsigned_ones():
    values = phantom(12, signed=True)
    frame = encode(values & 0xFFF, JPEG_2000_LOSSLESS, 16, 12)
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, frame=frame, signed=True)
    np.testing.assert_array_equal(decoded(body), values)


def test_unsigned_samples_that_were_coded_as_signed_ones():
    values = phantom(12)
    frame = encode(((values ^ 0x800) - 0x800).astype(np.int32), JPEG_2000_LOSSLESS, 16, 12)
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, frame=frame)
    np.testing.assert_array_equal(decoded(body), values)


def test_precision_is_the_codestreams():
    values = phantom(14)
    frame = encode(values, JPEG_2000_LOSSLESS, 16, 14)
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, frame=frame, bits_stored=12)
    np.testing.assert_array_equal(decoded(body), values)


def test_eight_bit_codestream_under_a_sixteen_bit_header():
    values = phantom(8)
    frame = encode(values, JPEG_LS, 8, 8)
    body = dicom_file(values, syntax=JPEG_LS, frame=frame)
    np.testing.assert_array_equal(decoded(body), values)


def test_colour_codestream_under_a_grey_header():
    grey = to_codes(phantom(8), 8, 8)
    frame = bytes(imagecodecs.jpeg8_encode(np.dstack([grey, grey, grey])))
    body = dicom_file(
        phantom(8), syntax=JPEG_BASELINE, frame=frame, bits_stored=8, bits_allocated=8
    )
    with pytest.raises(UnreadableImage) as refusal:
        decoded(body)
    assert refusal.value.code == "pixel-data-corrupt"


def test_a_jp2_file_in_place_of_the_codestream():
    values = phantom(12)
    boxed = imagecodecs.jpeg2k_encode(
        to_codes(values, 16, 12), codecformat="JP2", bitspersample=12, reversible=True
    )
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, frame=bytes(boxed))
    np.testing.assert_array_equal(decoded(body), values)
