import struct
import sys

import imagecodecs
import numpy as np
import pytest

from service.imaging import decode
from service.imaging.codecs import jpeg_2000
from service.imaging.codecs.codec import DecodeOptions
from service.imaging.codecs.jpeg_2000 import read_jpeg_2000
from service.imaging.codecs.openjph import decode_fast, is_plain_and_whole
from service.imaging.pixel_layout import PixelLayout
from tests.dicom_files import dicom_file, phantom, to_codes
from tests.service.imaging.decoded import decoded
from tests.transfer_syntaxes import HTJ2K_LOSSLESS

pytestmark = pytest.mark.unit

DEEP = to_codes(phantom(12), 16, 12)
FRAME = bytes(imagecodecs.htj2k_encode(DEEP, reversible=True))
TILED = bytes(imagecodecs.htj2k_encode(DEEP, reversible=True, tile=(32, 32)))
LOSSY = bytes(imagecodecs.htj2k_encode(DEEP, level=0.001, reversible=False))
COMMENT = b"\xff\x64\0\4\0\1"
TILE_PART = 12


def test_a_reversible_stream_is_plain():
    assert is_plain_and_whole(FRAME, 1)
    assert is_plain_and_whole(FRAME + b"\0", 1)


def test_a_stream_of_tiles():
    tiles = read_jpeg_2000(TILED).tiles
    assert tiles == 6
    assert is_plain_and_whole(TILED, tiles)
    np.testing.assert_array_equal(imagecodecs.htj2k_decode(TILED), DEEP)
    first, second = (TILED.index(b"\xff\x90\0\x0a" + struct.pack(">H", tile)) for tile in (0, 1))
    assert not is_plain_and_whole(TILED[:first] + TILED[second:], tiles)


@pytest.mark.parametrize("frame", (FRAME, TILED), ids=("one tile", "tiles"))
def test_no_stream_that_breaks_off_is_whole(frame):
    tiles = read_jpeg_2000(frame).tiles
    assert not any(is_plain_and_whole(frame[:length], tiles) for length in range(len(frame)))


def test_a_last_tile_part_without_length_goes_to_the_end():
    at = FRAME.index(b"\xff\x90")
    open_ended = FRAME[: at + 6] + b"\0" * 4 + FRAME[at + 10 :]
    assert is_plain_and_whole(open_ended, 1)


@pytest.mark.parametrize("length", (1, 12, 14, 2**31, 2**32 - 1))
def test_a_tile_part_of_impossible_length(length):
    at = FRAME.index(b"\xff\x90")
    assert not is_plain_and_whole(FRAME[: at + 6] + struct.pack(">L", length) + FRAME[at + 10 :], 1)


def test_a_lossy_stream_is_plain_and_decodes_as_by_the_other_decoder():
    assert is_plain_and_whole(LOSSY, 1)
    fast, careful = imagecodecs.htj2k_decode(LOSSY), imagecodecs.jpeg2k_decode(LOSSY)
    assert np.abs(fast.astype(int) - careful).max() <= 1


@pytest.mark.parametrize("frame", (FRAME, LOSSY), ids=("reversible", "lossy"))
def test_a_table_of_quantisation_that_does_not_fit_its_wavelet_is_not_plain(frame):
    segment = frame.index(b"\xff\x5c")
    style, wavelet = segment + 4, frame.index(b"\xff\x52") + 13
    for at, bits in ((style, 0x02), (style, 0x01), (wavelet, 1)):
        other = bytes((frame[at] ^ bits,))
        assert not is_plain_and_whole(frame[:at] + other + frame[at + 1 :], 1)


@pytest.mark.parametrize("frame", (FRAME, LOSSY), ids=("reversible", "lossy"))
def test_a_table_of_quantisation_of_another_length_is_not_plain(frame):
    at = frame.index(b"\xff\x5c") + 2
    (length,) = struct.unpack_from(">H", frame, at)
    for change in (-2, -1):
        shorter = struct.pack(">H", length + change)
        cut = frame[:at] + shorter + frame[at + 2 : at + length + change] + frame[at + length :]
        assert not is_plain_and_whole(cut, 1)
    longer = frame[:at] + struct.pack(">H", length + 1) + frame[at + 2 : at + length]
    assert not is_plain_and_whole(longer + b"\0" + frame[at + length :], 1)
    levels = frame.index(b"\xff\x52") + 9
    deeper = frame[:levels] + bytes((frame[levels] + 1,)) + frame[levels + 1 :]
    assert not is_plain_and_whole(deeper, 1)


def test_parameters_that_are_missing_or_come_twice_are_not_plain():
    for marker in (b"\xff\x50", b"\xff\x51", b"\xff\x52", b"\xff\x5c"):
        at = FRAME.index(marker)
        (length,) = struct.unpack_from(">H", FRAME, at + 2)
        segment = FRAME[at : at + 2 + length]
        assert not is_plain_and_whole(FRAME[:at] + FRAME[at + 2 + length :], 1)
        assert not is_plain_and_whole(FRAME[:at] + segment + FRAME[at:], 1)


@pytest.mark.parametrize("marker", (0x53, 0x5D, 0x5E, 0x5F, 0x60, 0x57))
def test_parameters_of_a_component_or_packed_headers_are_not_plain(marker):
    at = FRAME.index(b"\xff\x5c")
    segment = bytes((0xFF, marker)) + COMMENT[2:]
    assert is_plain_and_whole(FRAME[:at] + COMMENT + FRAME[at:], 1)
    assert not is_plain_and_whole(FRAME[:at] + segment + FRAME[at:], 1)


@pytest.mark.parametrize("marker", (0x52, 0x53, 0x5C, 0x5D, 0x5E, 0x61))
def test_parameters_of_a_tile_are_not_plain(marker):
    at = FRAME.index(b"\xff\x90")
    (length,) = struct.unpack_from(">L", FRAME, at + 6)

    def with_segment(segment):
        longer = struct.pack(">L", length + len(segment))
        head = FRAME[: at + 6] + longer + FRAME[at + 10 : at + TILE_PART]
        return head + segment + FRAME[at + TILE_PART :]

    assert is_plain_and_whole(with_segment(COMMENT), 1)
    assert not is_plain_and_whole(with_segment(bytes((0xFF, marker)) + COMMENT[2:]), 1)


def test_headers_without_end_are_not_plain():
    at = FRAME.index(b"\xff\x5c")
    assert not is_plain_and_whole(FRAME[:at] + COMMENT * 1000 + FRAME[at:], 1)
    assert not is_plain_and_whole(b"", 1)


def damaged(frame, seed):
    """Overwrite a few bytes of the coded samples."""
    rng = np.random.default_rng(seed)
    broken, first = bytearray(frame), frame.index(b"\xff\x93") + 2
    for at in rng.integers(first, len(frame) - 4, 4):
        broken[at] = rng.integers(256)
    return bytes(broken)


@pytest.mark.parametrize("frame", (FRAME, LOSSY), ids=("reversible", "lossy"))
def test_an_error_that_the_binding_ignores_is_none_the_less_met(frame, capfd):
    # Found by fuzzing: the frame came back with old memory in it, as if nothing were wrong.
    outcomes = []
    for seed in range(30):
        hook = sys.unraisablehook
        try:
            outcomes.append(decode_fast(damaged(frame, seed)))
        except imagecodecs.Htj2kError:
            continue
        finally:
            assert sys.unraisablehook is hook
    assert any(outcome is None for outcome in outcomes)
    assert "ojph error" in capfd.readouterr().err
    assert decode_fast(frame) is not None


def test_the_careful_decoder_takes_what_the_fast_one_fails_at(monkeypatch):
    layout = PixelLayout(DEEP.shape[0], DEEP.shape[1], 16, 12, 11, False, "MONOCHROME2")
    monkeypatch.setattr(jpeg_2000, "decode_fast", lambda *_, **__: None)
    codes = decode.decode_frame(
        FRAME, HTJ2K_LOSSLESS, layout, read_jpeg_2000(FRAME), DecodeOptions(sandboxed=True)
    )
    np.testing.assert_array_equal(codes, DEEP)


def test_jpeg_2000_that_is_called_htj2k_is_left_to_the_careful_decoder():
    frame = imagecodecs.jpeg2k_encode(DEEP, codecformat="J2K", bitspersample=12, reversible=True)
    body = dicom_file(phantom(12), syntax=HTJ2K_LOSSLESS, frame=bytes(frame))
    np.testing.assert_array_equal(decoded(body, sandboxed=True), phantom(12))
    assert not is_plain_and_whole(bytes(frame), 1)
