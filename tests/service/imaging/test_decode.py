import contextlib
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

from service.errors import UnreadableImage
from service.imaging import decode
from service.imaging.admission import admit
from service.imaging.decode import PLUGIN, read_codes
from service.imaging.dicom import parse
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    NATIVE,
)
from tests.dicom_files import SOP_INSTANCE_UID, dicom_file, encode, phantom, rle_frame, to_codes
from tests.service.imaging.decoded import decoded
from tests.service.imaging.trailers import TRAILERS
from tests.thinned import thinned
from tests.transfer_syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    RLE,
)

pytestmark = pytest.mark.unit


LOSSLESS = (
    *(IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, RLE),
    *(JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL),
)
BITS = ((8, 8), (16, 8), (16, 10), (16, 12), (16, 14), (16, 16))
LOSSY = (
    # syntax, bits allocated, bits stored, largest error in parts of the range
    (JPEG_BASELINE, 8, 8, 0.03),
    (JPEG_EXTENDED, 16, 12, 0.03),
    (JPEG_LS_NEAR, 8, 8, 2 / 255),
    (JPEG_LS_NEAR, 16, 12, 2 / 4095),
    (JPEG_2000, 8, 8, 0.03),
    (JPEG_2000, 16, 12, 0.03),
    (JPEG_2000, 16, 16, 0.03),
    (HTJ2K, 8, 8, 0.03),
    (HTJ2K, 16, 12, 0.03),
    (HTJ2K, 16, 16, 0.03),
)


def test_the_tables_name_every_syntax():
    assert {*LOSSLESS, *(row[0] for row in LOSSY)} == NATIVE | ENCAPSULATED


@pytest.mark.parametrize("signed", (False, True), ids=("unsigned", "signed"))
@pytest.mark.parametrize(("allocated", "stored"), BITS)
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_syntaxes_give_the_stored_values_back(syntax, allocated, stored, signed):
    values = phantom(stored, signed=signed)
    body = dicom_file(
        values, syntax=syntax, bits_allocated=allocated, bits_stored=stored, signed=signed
    )
    np.testing.assert_array_equal(decoded(body), values)


@pytest.fixture
def openjph(monkeypatch):
    """Count what the fast decoder of HTJ2K is given."""
    given = []

    def spy(frame, **options):
        given.append(frame)
        return original(frame, **options)

    original = imagecodecs.htj2k_decode
    monkeypatch.setattr(imagecodecs, "htj2k_decode", spy)
    return given


@pytest.mark.parametrize("signed", (False, True), ids=("unsigned", "signed"))
@pytest.mark.parametrize(("allocated", "stored"), BITS)
@pytest.mark.parametrize("syntax", (HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K))
def test_an_expendable_process_decodes_lossless_htj2k_fast(
    syntax, allocated, stored, signed, openjph
):
    values = phantom(stored, signed=signed)
    frame = encode(values, HTJ2K_LOSSLESS, allocated, stored)
    body = dicom_file(
        values,
        syntax=syntax,
        frame=frame,
        bits_allocated=allocated,
        bits_stored=stored,
        signed=signed,
    )
    np.testing.assert_array_equal(decoded(body, sandboxed=True), values)
    assert len(openjph) == 1
    np.testing.assert_array_equal(decoded(body), values)
    assert len(openjph) == 1


@pytest.mark.parametrize("keep", (0.3, 0.7, 0.97, 0.999))
def test_the_fast_decoder_never_sees_a_stream_that_breaks_off(keep, openjph):
    frame = encode(phantom(12), HTJ2K_LOSSLESS, 16, 12)
    with pytest.raises(UnreadableImage):
        decoded(
            dicom_file(syntax=HTJ2K_LOSSLESS, frame=frame[: int(len(frame) * keep)]),
            sandboxed=True,
        )
    assert openjph == []


def test_an_expendable_process_decodes_lossy_htj2k_fast_and_nearly_the_same(openjph):
    body = dicom_file(syntax=HTJ2K)
    fast = decoded(body, sandboxed=True)
    assert len(openjph) == 1
    assert np.abs(fast - decoded(body)).max() <= 1
    assert len(openjph) == 1


def test_the_fast_decoder_never_sees_a_table_of_quantisation_that_is_too_short(openjph):
    frame = encode(phantom(12), HTJ2K, 16, 12)
    levels = frame.index(b"\xff\x52") + 9
    deeper = frame[:levels] + bytes((frame[levels] + 1,)) + frame[levels + 1 :]
    with contextlib.suppress(UnreadableImage):
        decoded(dicom_file(syntax=HTJ2K, frame=deeper), sandboxed=True)
    assert openjph == []


@pytest.mark.parametrize(("syntax", "allocated", "stored", "bound"), LOSSY)
def test_lossy_syntaxes_stay_within_their_bound(syntax, allocated, stored, bound):
    values = phantom(stored)
    body = dicom_file(values, syntax=syntax, bits_allocated=allocated, bits_stored=stored)
    assert len(set(decoded(body).ravel())) > 20
    assert np.abs(decoded(body) - values).max() <= bound * ((1 << stored) - 1)


@pytest.mark.parametrize("sandboxed", (False, True))
@pytest.mark.parametrize("trailer", thinned(TRAILERS, 3))
@pytest.mark.parametrize("syntax", sorted(ENCAPSULATED - {RLE}))
def test_what_follows_the_end_of_a_frame_is_not_the_images(syntax, trailer, sandboxed):
    bits = 8 if syntax == JPEG_BASELINE else 12
    values, allocated = phantom(bits), 8 if bits == 8 else 16
    frame = encode(values, syntax, allocated, bits)
    after = TRAILERS[trailer] + b"\0" * ((len(frame) + len(TRAILERS[trailer])) % 2)
    how = {"syntax": syntax, "bits_stored": bits, "bits_allocated": allocated}
    body, plain = (dicom_file(values, frame=one, **how) for one in (frame + after, frame))
    for half in (False, True):
        np.testing.assert_array_equal(
            decoded(body, sandboxed=sandboxed, half=half),
            decoded(plain, sandboxed=sandboxed, half=half),
        )


@pytest.mark.parametrize("syntax", sorted(ENCAPSULATED))
def test_our_plug_in_ran_and_no_other(syntax, monkeypatch):
    asked = []

    def spy(self, plugin=""):
        asked.append(plugin)
        return original(self, plugin)

    decoder = type(get_decoder(syntax))
    original = decoder._validate_plugins
    monkeypatch.setattr(decoder, "_validate_plugins", spy)
    bits = 8 if syntax == JPEG_BASELINE else 12
    decoded(
        dicom_file(
            phantom(bits), syntax=syntax, bits_stored=bits, bits_allocated=8 if bits == 8 else 16
        )
    )
    assert asked == [PLUGIN]
    assert get_decoder(syntax)._available[PLUGIN].__module__ == decode.__name__


def test_the_plug_in_serves_pydicom_itself():
    dataset = dcmread(BytesIO(dicom_file(syntax=HTJ2K_LOSSLESS)))
    dataset.pixel_array_options(decoding_plugin=PLUGIN)
    assert dataset.SOPInstanceUID == SOP_INSTANCE_UID
    np.testing.assert_array_equal(dataset.pixel_array, phantom())


@pytest.mark.parametrize("syntax", (EXPLICIT_LITTLE, EXPLICIT_BIG, RLE))
def test_bits_above_bits_stored_are_masked(syntax):
    values = phantom(12)
    codes = to_codes(values, 16, 12) | np.uint16(0x5000)
    frame = rle_frame(codes) if syntax == RLE else None
    np.testing.assert_array_equal(
        decoded(dicom_file(values, syntax=syntax, codes=codes, frame=frame)), values
    )


def test_samples_in_the_high_bits_are_shifted_down():
    values = phantom(12)
    codes = to_codes(values, 16, 12) << np.uint16(4) | np.uint16(0x5)
    np.testing.assert_array_equal(decoded(dicom_file(values, codes=codes, HighBit=15)), values)


def test_big_endian_words_of_eight_bit_samples():
    values = phantom(8, rows=5, columns=7)
    packed = to_codes(values, 8, 8).tobytes() + b"\0"
    swapped = np.frombuffer(packed, ">u2").astype("<u2").tobytes()
    body = dicom_file(
        values, syntax=EXPLICIT_BIG, bits_allocated=8, bits_stored=8, pixel_data=swapped
    )
    at = body.rindex(b"OB")
    np.testing.assert_array_equal(decoded(body[:at] + b"OW" + body[at + 2 :]), values)


def test_native_pixels_at_an_odd_offset():
    values = phantom(12)
    body = dicom_file(values, ImageComments="even")
    odd = body.replace(b"LT\x04\x00even", b"LT\x03\x00odd")
    assert len(odd) == len(body) - 1
    np.testing.assert_array_equal(decoded(odd), values)


def test_native_pixels_are_not_copied():
    body = dicom_file()
    file = parse(body, 2**28)
    codes, _ = read_codes(file, admit(file, 10**6, frozenset({"MG"})))
    assert np.shares_memory(codes, np.frombuffer(body, np.uint8))


def test_the_runner_gets_no_say_in_what_pydicom_logs(caplog):
    with pytest.raises(UnreadableImage):
        decoded(dicom_file(syntax=RLE, frame=b"\2" + b"\0" * 99))
    assert caplog.records == []
    assert DecodeRunner.__module__.startswith("pydicom")
