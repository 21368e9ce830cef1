"""Sequences whose length is wrong, before and after the pixel data (PS3.5 7.5)."""

import struct
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.errors import MammosegError
from service.imaging import dicom, elements, sequence_lengths
from service.imaging.dicom import parse
from service.imaging.reader import ReadLimits, read_dicom
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from tests.dicom_files import dataset, deflated_file, dicom_file, meta_length, phantom
from tests.service.imaging.displayed import stretched
from tests.transfer_syntaxes import RLE

pytestmark = pytest.mark.unit

SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)
ICON, VIEW, REGION = 0x00880200, 0x00540220, 0x00082218
PIXELS = stretched(phantom(12), 0, 4095)


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def icon():
    made = dataset(phantom(8, rows=64, columns=64), bits_stored=8, bits_allocated=8)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "Modality", "PatientName"):
        delattr(made, keyword)
    # Nothing that looks like an element.
    made.add_new("PixelData", "OB", bytes(range(200, 216)) * 256)
    return made


def code(value):
    return item(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning="a code")


def mammogram(syntax, *, undefined=False, **values):
    region, view, icons = (Sequence([one]) for one in (code("1"), code("2"), icon()))
    for sequence in (region, view, icons):
        sequence.is_undefined_length = undefined
    made: dict[str, Any] = {
        "AnatomicRegionSequence": region,
        "PatientID": "after the region",
        "ViewCodeSequence": view,
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "IconImageSequence": icons,
        "PresentationLUTShape": "IDENTITY",
    }
    return dicom_file(syntax=syntax, **made | values)


def places(body, tag, syntax):
    """Return where the lengths of a sequence and of its first item stand."""
    order = ">" if syntax == EXPLICIT_BIG else "<"
    at = body.index(struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF), meta_length(body))
    length_at = at + (4 if syntax == IMPLICIT_LITTLE else 8)
    return order, length_at, length_at + 8


def miscounted(body, tag, syntax, by, *, sequence=True, first_item=True):
    order, *at = places(body, tag, syntax)
    changed = bytearray(body)
    for place, wanted in zip(at, (sequence, first_item), strict=True):
        if wanted:
            (length,) = struct.unpack_from(f"{order}L", body, place)
            struct.pack_into(f"{order}L", changed, place, length + by)
    return bytes(changed)


def check(body, *, icon=True):
    """Everything is there: the pixels, and what stands after each sequence; an icon need not be."""
    np.testing.assert_array_equal(read_dicom(body, ReadLimits()).pixels, PIXELS)
    header = parse(body, 2**24).dataset
    assert elements.text(header, "PatientID") == "after the region"
    assert elements.integer(header, "Rows") == 72
    assert elements.text(header, "PresentationLUTShape") == "IDENTITY"
    assert elements.text(elements.items(header, "AnatomicRegionSequence")[0], "CodeValue") == "1"
    assert elements.text(elements.items(header, "ViewCodeSequence")[0], "CodeValue") == "2"
    if icon:
        assert elements.integer(elements.items(header, "IconImageSequence")[0], "Rows") == 64


BY = (-2, -4, -6, -8, -10, -24, -40, -100, 2, 4, 6, 8, 10, 12, 24, 100)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_icon_whose_lengths_are_both_wrong(syntax, by):
    check(miscounted(mammogram(syntax), ICON, syntax, by))


@pytest.mark.parametrize("by", (-24, -8, 8, 24))
@pytest.mark.parametrize("which", ("sequence", "first_item"))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_icon_of_which_one_length_is_wrong(syntax, which, by):
    only = {"sequence": False, "first_item": False} | {which: True}
    check(miscounted(mammogram(syntax), ICON, syntax, by, **only))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_icon_that_seems_to_end_before_its_pixels_or_any_other_element(syntax):
    """What follows looks like the dataset, and its pixels like those of the image."""
    body = mammogram(syntax)
    order, _, item_at = places(body, ICON, syntax)
    start = item_at + 4
    (length,) = struct.unpack_from(f"{order}L", body, item_at)
    ends = []
    for tag in (0x00280010, 0x00280100, 0x00280103, 0x7FE00010):
        wanted = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        ends.append(body.index(wanted, start) - start - length)
    for by in ends:
        check(miscounted(body, ICON, syntax, by))


@pytest.mark.parametrize("by", (-2, -4, -8, -14, 2, 4, 6))
@pytest.mark.parametrize("tag", (REGION, VIEW))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_sequences_of_codes(syntax, tag, by):
    check(miscounted(mammogram(syntax), tag, syntax, by), icon=tag != VIEW)


@pytest.mark.parametrize("by", (-24, -8, -2))
@pytest.mark.parametrize("tag", (REGION, VIEW, ICON))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_items_of_a_sequence_without_length(syntax, tag, by):
    body = mammogram(syntax, undefined=True)
    check(body)
    check(miscounted(body, tag, syntax, by, sequence=False))


@pytest.mark.parametrize("by", (-4, -8, -20, 2, 4, 8))
@pytest.mark.parametrize("syntax", (*SYNTAXES, RLE))
def test_elements_of_an_item_that_might_be_the_datasets(syntax, by):
    """Purpose of Reference has a higher tag than its sequence, and the pixel data comes next."""
    view = code("2")
    view.ViewModifierCodeSequence = Sequence([code("3")])
    reference = item(ReferencedSOPInstanceUID="1.2.3", PurposeOfReferenceCodeSequence=[code("4")])
    body = dicom_file(
        syntax=syntax,
        ReferencedImageSequence=Sequence([reference]),
        PatientID="after the region",
        ViewCodeSequence=Sequence([view]),
    )
    for tag in (0x00081140, VIEW):
        bad = miscounted(body, tag, syntax, by)
        np.testing.assert_array_equal(read_dicom(bad, ReadLimits()).pixels, PIXELS)
        header = parse(bad, 2**24).dataset
        assert elements.text(header, "PatientID") == "after the region"
        assert elements.integer(header, "PixelRepresentation") == 0
        (found,) = elements.items(header, "ViewCodeSequence")
        (modifier,) = elements.items(found, "ViewModifierCodeSequence")
        assert elements.text(modifier, "CodeValue") == "3"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_two_wrong_ones_in_a_file(syntax):
    body = mammogram(syntax)
    for tag, by in ((REGION, -4), (VIEW, 2), (ICON, -24)):
        body = miscounted(body, tag, syntax, by)
    check(body)


@pytest.mark.parametrize("by", (-24, 24))
def test_a_wrong_length_in_a_deflated_file(by):
    body = mammogram(EXPLICIT_LITTLE)
    check(deflated_file(miscounted(body, ICON, EXPLICIT_LITTLE, by)[meta_length(body) :]))


@pytest.mark.parametrize("by", (-24, 24))
def test_a_wrong_length_before_compressed_pixels(by):
    check(miscounted(mammogram(RLE), ICON, EXPLICIT_LITTLE, by))


@pytest.mark.parametrize("by", (-8, 8, 10**6))
@pytest.mark.parametrize("syntax", (EXPLICIT_LITTLE, RLE))
def test_what_comes_after_the_pixel_data_does_not_matter(syntax, by):
    body = mammogram(syntax)
    trailing = struct.pack("<HH2sxxL", 0xFFFA, 0xFFFA, b"SQ", 20 + by)
    trailing += struct.pack("<HHL", 0xFFFE, 0xE000, 12 + by) + b"\x04\x00\x00\x04UI\x04\x001.2\0"
    check(body + trailing)


def test_right_lengths_are_left_alone(monkeypatch):
    read = []
    original = dicom._parse

    def parse_and_note(*given):
        read.append(given[0])
        return original(*given)

    monkeypatch.setattr(dicom, "_parse", parse_and_note)
    for syntax in (*SYNTAXES, DEFLATED, RLE):
        for undefined in (False, True):
            read.clear()
            check(mammogram(syntax, undefined=undefined))
            assert len(read) == 2  # of read_dicom and parse


def test_elements_in_no_order_stay_where_they_are():
    """Of an unordered dataset, what follows an item is not the item's."""
    built = dataset(phantom(12))
    body = dicom_file(AnatomicRegionSequence=Sequence([code("1")]))
    at = body.index(b"\x08\0\x18\x22SQ")
    (length,) = struct.unpack_from("<L", body, at + 8)
    end = at + 12 + length
    start = meta_length(body)
    moved = body[:start] + body[at:end] + body[start:at] + body[end:]
    header = parse(moved, 2**24).dataset
    assert elements.text(header, "Modality") == built.Modality
    assert header["AnatomicRegionSequence"].value[0].CodeMeaning == "a code"


def test_a_file_that_breaks_off_is_refused_as_before():
    body = mammogram(EXPLICIT_LITTLE)
    inside = body.index(b"\x88\0\0\x02SQ") + 500
    with pytest.raises(MammosegError) as refusal:
        read_dicom(body[:inside], ReadLimits())
    assert refusal.value.code == "truncated"


def test_the_search_is_bounded(monkeypatch):
    looked = []

    class Counted(sequence_lengths._Walk):
        def _header(self, at):
            looked.append(at)
            return super()._header(at)

    monkeypatch.setattr(sequence_lengths, "_Walk", Counted)
    nested = struct.pack("<HH2s2xL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    nested += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    flat = struct.pack("<HH2sH", 0x0009, 0x1000, b"CS", 0) * 50_000
    body = dicom_file()
    start = meta_length(body)
    for hostile in (nested * 50_000, flat):
        looked.clear()
        bad = body[:start] + hostile
        assert sequence_lengths.with_right_lengths(bad, start, little_endian=True) is bad
        assert len(looked) <= sequence_lengths.MAX_HEADERS + 1
