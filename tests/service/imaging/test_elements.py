import struct
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.imaging import elements
from service.imaging.dicom import parse
from service.imaging.transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from service.outputs.dicom.text import HeaderText
from tests.dicom_files import dataset, write

pytestmark = pytest.mark.unit


def reread(built: Dataset, syntax: str = EXPLICIT_LITTLE) -> Dataset:
    return parse(write(built, syntax), 2**24).dataset


def with_raw(keyword: str, vr: str, value: object) -> Dataset:
    built = dataset(None)
    built.add_new(keyword, vr, value)
    return reread(built)


def test_absent_elements():
    empty = Dataset()
    assert elements.text(empty, "Modality") is None
    assert elements.texts(empty, "Modality") == ()
    assert elements.integer(empty, "Rows") is None
    assert elements.number(empty, "RescaleSlope") is None
    assert elements.raw_integers(empty, "PixelPaddingValue") == ()
    assert elements.items(empty, "VOILUTSequence") == ()
    assert elements.uid(empty, "SOPInstanceUID") is None


def test_texts_lose_their_padding():
    assert elements.text(with_raw("Modality", "CS", " MG "), "Modality") == "MG"
    assert elements.text(with_raw("Modality", "CS", ""), "Modality") is None
    several = with_raw("ImageType", "CS", ["DERIVED", "PRIMARY"])
    assert elements.texts(several, "ImageType") == ("DERIVED", "PRIMARY")
    assert elements.text(several, "ImageType") == "DERIVED"


def test_integers():
    assert elements.integer(with_raw("Rows", "US", 7), "Rows") == 7
    assert elements.integer(with_raw("Rows", "US", [7, 8]), "Rows") is None
    assert elements.numbers(with_raw("Rows", "US", [7, 8]), "Rows") == (7.0, 8.0)
    assert elements.integer(with_raw("NumberOfFrames", "IS", "3"), "NumberOfFrames") == 3


def broken(keyword: str, good: bytes, bad: bytes) -> Dataset:
    built = dataset(None, WindowWidth="400", NumberOfFrames="3")
    return parse(write(built).replace(good, bad), 2**20).dataset


def test_numbers_that_are_none():
    assert (
        elements.integer(broken("NumberOfFrames", b"IS\2\x003 ", b"IS\2\0x "), "NumberOfFrames")
        is None
    )
    for bad in (b"nan ", b"1e99", b"4,00", b"\\400", b"    "):
        read = elements.numbers(broken("WindowWidth", b"400 ", bad), "WindowWidth")
        assert read == ((1e99,) if bad == b"1e99" else ())
    assert elements.number(with_raw("WindowWidth", "DS", "1\\2"), "WindowWidth") is None
    assert elements.numbers(with_raw("WindowWidth", "DS", "1\\2"), "WindowWidth") == (1.0, 2.0)


def test_a_value_of_absurd_length_is_absent():
    long = with_raw("ImageComments", "UT", "1" * (elements.MAX_VALUE_BYTES + 2))
    assert elements.text(long, "ImageComments") is None


@pytest.mark.slow
def test_a_sequence_of_absurd_length_is_absent():
    def with_items(count: int) -> Dataset:
        built = dataset(None)
        built.VOILUTSequence = Sequence([Dataset() for _ in range(count)])
        return reread(built)

    most = elements.MAX_SEQUENCE_BYTES // 8
    assert len(elements.items(with_items(100), "VOILUTSequence")) == 100
    assert elements.items(with_items(most + 1), "VOILUTSequence") == ()


def test_a_private_element_of_any_length_is_stepped_over():
    built = dataset(None)
    built.private_block(0x0019, "MAKER", create=True).add_new(0x10, "UN", b"\1" * 2**23)
    read = reread(built)
    assert elements.text(read, "Modality") == "MG"
    assert elements.integer(read, "BitsStored") == 12


@pytest.mark.parametrize("syntax", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG))
def test_elements_of_ambiguous_representation(syntax):
    built = dataset(None)
    built.add_new("PixelPaddingValue", "US", 0xF830)
    assert elements.raw_integers(reread(built, syntax), "PixelPaddingValue") == (0xF830,)
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 1, 16])
    item.add_new("LUTData", "US", [1, 2, 3, 500])
    built.VOILUTSequence = Sequence([item])
    found = elements.items(reread(built, syntax), "VOILUTSequence")
    assert [elements.raw_integers(i, "LUTDescriptor") for i in found] == [(4, 1, 16)]
    assert elements.raw_integers(found[0], "LUTData") == (1, 2, 3, 500)


@pytest.mark.parametrize("syntax", (EXPLICIT_LITTLE, EXPLICIT_BIG))
def test_words_keep_the_order_of_the_file(syntax):
    built, item = dataset(None), Dataset()
    order = "<" if syntax == EXPLICIT_LITTLE else ">"
    import numpy as np

    item.add_new("LUTData", "OW", np.array([1, 2, 500], f"{order}u2").tobytes())
    built.VOILUTSequence = Sequence([item])
    found = elements.items(reread(built, syntax), "VOILUTSequence")
    assert elements.raw_integers(found[0], "LUTData") == (1, 2, 500)


@pytest.mark.parametrize(
    ("value", "kept"),
    (
        ("1.2.840.10008.5", True),
        ("0.1", True),
        ("1." * 31 + "12", True),
        ("1." * 32 + "1", False),
        ("1.2.03", True),
        ("1.2\\1.3", False),
        ("1..2", False),
        ("1.2.", False),
        ("1.2.x", False),
        ("1.2.\u0663", False),
        ("1.2/../3", False),
        ("12", False),
    ),
)
def test_uids(value, kept):
    built = Dataset()
    built.add_new("SOPInstanceUID", "UI", value)
    assert elements.uid(built, "SOPInstanceUID") == (value if kept else None)


def nested_in_place_of(keyword: str) -> Dataset:
    """Return a header whose element holds a sequence, of a sequence, of undefined lengths."""
    inner, outer = Dataset(), Dataset()
    inner.ReferencedImageSequence = Sequence([Dataset()])
    outer.ReferencedImageSequence = Sequence([inner])
    dropped: dict[str, Any] = {keyword: None}
    built = dataset(None, **dropped)
    built.ReferencedImageSequence = Sequence([outer])
    built["ReferencedImageSequence"].is_undefined_length = True
    written = write(built)
    tag = tag_for_keyword(keyword)
    assert tag is not None
    named = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, b"SQ")
    head = struct.pack("<HH2s", 0x0008, 0x1140, b"SQ")
    return parse(written.replace(head, named, 1), 2**20).dataset


@pytest.mark.parametrize("keyword", ("Modality", "PixelAspectRatio", "PatientName", "Rows"))
def test_a_sequence_where_a_text_or_number_should_be_is_nothing(keyword, monkeypatch):
    # Found by fuzzing: written out as text, 80 kB of nested ones took gigabytes.
    monkeypatch.setattr(Sequence, "__str__", lambda _: pytest.fail("written out"))
    found = nested_in_place_of(keyword)
    assert elements.items(found, keyword)
    assert elements.text(found, keyword) is None
    assert elements.texts(found, keyword) == ()
    assert elements.numbers(found, keyword) == ()
    assert elements.integer(found, keyword) is None
    assert elements.uid(found, keyword) is None
    assert HeaderText(found).read(keyword, lambda _: True) is None
    assert HeaderText(found).is_present(keyword)
