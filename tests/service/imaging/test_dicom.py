import logging
import struct
import warnings
import zlib

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.errors import MammosegError
from service.imaging import elements
from service.imaging.dicom import looks_like_dicom, parse, read_meta
from service.imaging.memory_file import MAX_READS
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from tests.dicom_files import dataset, deflated_file, dicom_file, meta_length, phantom, write
from tests.thinned import thinned
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS, RLE

pytestmark = pytest.mark.unit

BOUND = 2**24


def refusal(body, bound=BOUND):
    with pytest.raises(MammosegError) as caught:
        parse(body, bound)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.status, caught.value.code


def test_pixel_data_is_found_and_not_copied():
    body = dicom_file(phantom(12))
    file = parse(body, BOUND)
    assert bytes(file.pixel_data) == phantom(12).astype("<u2").tobytes()
    assert np.shares_memory(np.frombuffer(file.pixel_data, np.uint8), np.frombuffer(body, np.uint8))
    assert file.transfer_syntax_uid == EXPLICIT_LITTLE
    assert elements.text(file.dataset, "Modality") == "MG"
    assert not file.truncated


@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED))
def test_every_encoding_of_the_dataset(syntax):
    file = parse(dicom_file(syntax=syntax), BOUND)
    assert file.transfer_syntax_uid == syntax
    assert elements.integer(file.dataset, "Rows") == 72
    assert len(file.pixel_data) == 72 * 56 * 2


def test_a_missing_preamble():
    assert elements.integer(parse(dicom_file()[132:], BOUND).dataset, "Rows") == 72


@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG))
def test_missing_file_meta_information(syntax):
    body = dicom_file(syntax=syntax)
    for headless in (body[meta_length(body) :], body[:132] + body[meta_length(body) :]):
        file = parse(headless, BOUND)
        assert file.transfer_syntax_uid == syntax
        assert elements.integer(file.dataset, "Rows") == 72


def test_memory_views_are_read_too():
    assert elements.integer(parse(memoryview(dicom_file()), BOUND).dataset, "Rows") == 72


@pytest.mark.parametrize(
    ("body", "answer"),
    (
        (b"", (400, "empty-body")),
        (b"GET / HTTP/1.1", (400, "not-dicom")),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 200, (400, "not-dicom")),
        (b"\0" * 1000, (400, "not-dicom")),
        (b"\0" * 128 + b"DICM", (400, "truncated")),
        (b"\0" * 128 + b"DICM\2\0\0\0UL\4\0", (400, "truncated")),
    ),
)
def test_what_is_no_dicom_file(body, answer):
    assert refusal(body) == answer


@pytest.mark.parametrize("uid", ("1.2.840.10008.1.2.4.100", "1.2.3.4", "not-a-uid"))
def test_unknown_transfer_syntaxes(uid):
    name = EXPLICIT_LITTLE.encode() + b"\0"
    body = dicom_file().replace(
        b"UI\x14\0" + name, b"UI" + struct.pack("<H", 24) + uid.encode().ljust(24, b"\0")
    )
    assert refusal(body) == (415, "transfer-syntax")


def test_a_file_that_breaks_off():
    body = dicom_file(ImageComments="x" * 400)
    inside = body.index(b"x" * 400) + 100
    assert parse(body[:inside], BOUND).truncated
    assert parse(body[: inside - 104], BOUND).truncated
    header_only = body[: parse(body, BOUND).pixel_offset - 12]
    assert not parse(header_only, BOUND).truncated


def test_deflated_data_within_and_over_the_bound():
    inflated = dicom_file(phantom(12))[meta_length(dicom_file()) :]
    body = deflated_file(inflated)
    assert len(parse(body, len(inflated) + 1).pixel_data) == 72 * 56 * 2
    assert refusal(body, len(inflated) - 1) == (413, "inflates-too-far")


def test_a_deflate_bomb_is_not_unpacked(monkeypatch):
    asked = []

    class Spy:
        def __init__(self, *_):
            self.inner = zlib_decompressobj(-zlib.MAX_WBITS)

        def decompress(self, data, limit):
            asked.append(limit)
            return self.inner.decompress(data, limit)

        @property
        def eof(self):
            return self.inner.eof

    zlib_decompressobj = zlib.decompressobj
    monkeypatch.setattr("service.imaging.dicom.zlib.decompressobj", Spy)
    assert refusal(deflated_file(b"\0" * 2**24), 2**20) == (413, "inflates-too-far")
    assert asked == [2**20]


def test_deflated_data_that_is_damaged_or_breaks_off():
    body = dicom_file(syntax=DEFLATED)
    start = meta_length(body)
    assert refusal(body[:start] + b"\xff" * 50) == (400, "deflate-corrupt")
    assert refusal(body[: start + 60]) == (400, "truncated")


@pytest.mark.slow
def test_more_elements_than_any_mammogram_has():
    many = b"".join(
        struct.pack("<HH2sH", 0x0009, 0x1000 + i % 4096, b"CS", 0) for i in range(MAX_READS)
    )
    body = dicom_file()
    start = meta_length(body)
    assert refusal(body[:start] + many + body[start:]) == (413, "too-many-elements")


@pytest.mark.parametrize("depth", (5_000, 50_000))
def test_nesting_without_end(depth):
    item = struct.pack("<HH2s2xL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    item += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    body = dicom_file()
    start = meta_length(body)
    status, code = refusal(body[:start] + item * depth + body[start:])
    assert (status, code) in {(400, "dicom-unreadable"), (413, "too-many-elements")}


def test_pixel_data_of_an_icon_is_not_the_images():
    built = dataset(phantom(12))
    icon = dataset(phantom(8, rows=4, columns=4), bits_stored=8, bits_allocated=8)
    icon.add_new("PixelData", "OB", b"\1" * 16)
    built.IconImageSequence = Sequence([icon])
    assert parse(write(built), BOUND).pixel_offset is None
    built.add_new("PixelData", "OW", phantom(12).astype("<u2").tobytes())
    assert len(parse(write(built), BOUND).pixel_data) == 72 * 56 * 2


def test_nothing_is_warned_of_or_logged(caplog):
    caplog.set_level(logging.DEBUG)
    built = dataset(None, WindowWidth="123456")
    built.add_new("StudyDate", "DA", "CANARY-no-date")
    body = write(built).replace(b"123456", b"CANARY")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        file = parse(body, BOUND)
        assert elements.numbers(file.dataset, "WindowWidth") == ()
        assert elements.text(file.dataset, "StudyDate") == "CANARY-no-date"
        # Explicit data under an implicit header makes pydicom warn while it reads.
        parse(
            body.replace(
                EXPLICIT_LITTLE.encode() + b"\0\2", IMPLICIT_LITTLE.encode() + b"\0\0\0\2"
            ),
            BOUND,
        )
    assert [str(warning.message) for warning in caught] == []
    assert caplog.records == []


def test_recognising_a_dicom_file():
    body = dicom_file()
    assert looks_like_dicom(body)
    assert looks_like_dicom(body[132:])
    assert looks_like_dicom(b"II*\0" + body[4:])
    assert not looks_like_dicom(b"II*\0" + b"\0" * 300)
    assert not looks_like_dicom(b"{}")
    assert not looks_like_dicom(b"\x08\0")


def test_a_dataset_of_nothing_but_its_header():
    empty = write(Dataset())
    file = parse(empty, BOUND)
    assert file.pixel_offset is None
    assert len(file.pixel_data) == 0


def implicit_meta(syntax, *, preamble, group_length, version=True):
    """Write file meta information in implicit VR, as the rules forbid (PS3.10 7.1)."""
    values = {
        0x00020001: b"\0\1" if version else None,
        0x00020002: b"1.2.840.10008.5.1.4.1.1.1.2\0",
        0x00020003: b"1.2.3\0",
        0x00020010: syntax.encode() + b"\0" * (len(syntax) % 2),
        0x00020012: b"1.2.3.4\0",
    }
    group = b"".join(
        struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value
        for tag, value in values.items()
        if value is not None
    )
    if group_length is not None:
        stated = len(group) if group_length == "right" else group_length
        group = struct.pack("<HHLL", 2, 0, 4, stated) + group
    body = dicom_file(syntax=syntax)
    return (b"\0" * 128 + b"DICM" if preamble else b"") + group + body[meta_length(body) :]


@pytest.mark.parametrize("preamble", (False, True))
@pytest.mark.parametrize("group_length", thinned(("right", 0, 10, 2**31, None), 4))
@pytest.mark.parametrize("version", (False, True))
@pytest.mark.parametrize(
    "syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, RLE, JPEG_2000_LOSSLESS)
)
def test_file_meta_information_in_implicit_vr(syntax, group_length, version, preamble):
    body = implicit_meta(syntax, preamble=preamble, group_length=group_length, version=version)
    assert looks_like_dicom(body)
    file = parse(body, BOUND)
    assert file.transfer_syntax_uid == syntax
    assert elements.integer(file.dataset, "Rows") == 72
    assert file.pixel_offset is not None
    assert read_meta(body)[0] == syntax


def test_an_implicit_transfer_syntax_that_is_not_read():
    body = implicit_meta(RLE, preamble=False, group_length="right").replace(
        RLE.encode() + b"\0", b"1.2.840.10008.9.9.9\0"
    )
    assert refusal(body) == (415, "transfer-syntax")
