from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

from service.errors import MammosegError, UnreadableImage
from service.imaging import decode
from service.imaging.admission import admit
from service.imaging.decode import PLUGIN, read_codes
from service.imaging.dicom import (
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    NATIVE,
    RLE,
    parse,
)
from service.imaging.photometry import stored_values
from tests.dicom_files import SOP_INSTANCE_UID, dicom_file, encode, phantom, rle_frame, to_codes

pytestmark = pytest.mark.unit

JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS, HTJ2K_RPCL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

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


def decoded(body, *, expendable=False):
    file = parse(body, 2**28)
    layout = admit(file, 10**6, frozenset({"MG"}))
    codes, layout = read_codes(file, layout, expendable=expendable)
    return stored_values(layout, codes.dtype.itemsize)[codes]


def test_the_tables_name_every_syntax():
    assert NATIVE | ENCAPSULATED == {*LOSSLESS, *(row[0] for row in LOSSY)}


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

    def spy(frame):
        given.append(frame)
        return original(frame)

    original = decode.imagecodecs.htj2k_decode
    monkeypatch.setattr(decode.imagecodecs, "htj2k_decode", spy)
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
    np.testing.assert_array_equal(decoded(body, expendable=True), values)
    assert len(openjph) == 1
    np.testing.assert_array_equal(decoded(body), values)
    assert len(openjph) == 1


@pytest.mark.parametrize("keep", (0.3, 0.7, 0.97, 0.999))
def test_the_fast_decoder_never_sees_a_stream_that_breaks_off(keep, openjph):
    frame = encode(phantom(12), HTJ2K_LOSSLESS, 16, 12)
    with pytest.raises(UnreadableImage):
        decoded(
            dicom_file(syntax=HTJ2K_LOSSLESS, frame=frame[: int(len(frame) * keep)]),
            expendable=True,
        )
    assert openjph == []


def test_the_fast_decoder_never_sees_quantisation(openjph):
    decoded(dicom_file(syntax=HTJ2K), expendable=True)
    assert openjph == []


@pytest.mark.parametrize(("syntax", "allocated", "stored", "bound"), LOSSY)
def test_lossy_syntaxes_stay_within_their_bound(syntax, allocated, stored, bound):
    values = phantom(stored)
    body = dicom_file(values, syntax=syntax, bits_allocated=allocated, bits_stored=stored)
    assert len(set(decoded(body).ravel())) > 20
    assert np.abs(decoded(body) - values).max() <= bound * ((1 << stored) - 1)


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


def test_charls_never_sees_a_stream_without_an_end(monkeypatch):
    monkeypatch.setattr(decode.imagecodecs, "jpegls_decode", lambda *_: pytest.fail("decoded"))
    frame = encode(phantom(12), JPEG_LS, 16, 12)[:-4]
    with pytest.raises(UnreadableImage):
        decoded(dicom_file(syntax=JPEG_LS, frame=frame))


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
    frame = imagecodecs.jpeg8_encode(np.dstack([grey, grey, grey]))
    body = dicom_file(
        phantom(8), syntax=JPEG_BASELINE, frame=frame, bits_stored=8, bits_allocated=8
    )
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


def test_the_runner_gets_no_say_in_what_pydicom_logs(caplog):
    with pytest.raises(UnreadableImage):
        decoded(dicom_file(syntax=RLE, frame=b"\2" + b"\0" * 99))
    assert caplog.records == []
    assert DecodeRunner.__module__.startswith("pydicom")


def test_a_jp2_file_in_place_of_the_codestream():
    values = phantom(12)
    boxed = imagecodecs.jpeg2k_encode(
        to_codes(values, 16, 12), codecformat="JP2", bitspersample=12, reversible=True
    )
    body = dicom_file(values, syntax=JPEG_2000_LOSSLESS, frame=boxed)
    np.testing.assert_array_equal(decoded(body), values)
