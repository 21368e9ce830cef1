"""What leaves the reader of a file is what results say of it, raw and bounded."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from service.errors import MammosegError, NotAcceptable
from service.imaging.dicom import parse
from service.imaging.source_header import MAX_TEXT_BYTES, SourceHeader, excerpt, look, snapshot
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from service.outputs.dicom.grayscale import read_grayscale
from service.outputs.dicom.reference import read_source
from tests.dicom_files import dicom_file
from tests.mammogram_headers import VENDORS, full_header

pytestmark = pytest.mark.unit

UIDS: dict[str, Any] = {
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.1",
    "PatientID": "42",
    "PatientName": "Müller^A",
    "SpecificCharacterSet": "ISO_IR 100",
}


def lut_item() -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [256, 0, 12])
    item.add_new(0x00283006, "OW", np.arange(256, dtype="<u2").tobytes())
    item.LUTExplanation = "x" * 60
    return item


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED])
def test_results_say_the_same_of_the_excerpt_as_of_the_file(syntax: str) -> None:
    shown: dict[str, Any] = {} if syntax == EXPLICIT_BIG else {"VOILUTSequence": [lut_item()]}
    file = dicom_file(syntax=syntax, WindowCenter=500, WindowWidth=100, **UIDS, **shown)
    whole = parse(file, 2**24).dataset
    part = look(file).header.dataset()
    one, other = read_source(whole), read_source(part)
    for name in ("identity", "kept_bytes", "character_set", "content_date", "study_instance_uid"):
        assert getattr(one, name) == getattr(other, name), name
    first, second = read_grayscale(whole), read_grayscale(part)
    assert first.inverse == second.inverse
    assert (first.voi is None) == (second.voi is None)
    assert first.voi is None or first.voi.to_json() == (second.voi and second.voi.to_json())


@pytest.mark.parametrize("maker", VENDORS)
def test_it_is_small(maker: str) -> None:
    header = full_header(**VENDORS[maker])
    found = look(dicom_file(**{e.keyword: e.value for e in header if e.keyword and e.VR != "SQ"}))
    assert size_of(found.header) < 4096


def size_of(header: SourceHeader) -> int:
    parts = [*header.elements, *(part for _, table in header.tables for part in table)]
    return sum(len(value) for _, _, value in parts)


def raw(keyword: str, value: bytes, vr: str = "LO") -> Dataset:
    dataset = Dataset()
    tag = Tag(keyword)
    dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    dataset.set_original_encoding(False, True)
    return dataset


def test_what_is_long_stays_invalid_and_is_not_carried() -> None:
    whole = raw("PatientID", b"P" * 2**20)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        whole.update(dict(raw(keyword, b"1.2.3", "UI").items()))
    whole.update(dict(raw("WindowCenter", b"1\\" * 2**19, "DS").items()))
    header = excerpt(whole)
    assert size_of(header) < 2 * MAX_TEXT_BYTES
    with pytest.raises(NotAcceptable, match="source-patient-id"):
        read_source(header.dataset())


def test_a_patient_id_that_is_a_sequence_is_not_taken_for_none() -> None:
    whole = parse(dicom_file(**UIDS), 0).dataset
    whole.add_new("PatientID", "SQ", Sequence([Dataset()]))
    with pytest.raises(NotAcceptable, match="source-patient-id"):
        read_source(excerpt(whole).dataset())


def test_a_table_is_carried_without_what_else_its_items_hold() -> None:
    item = lut_item()
    item.add_new(0x00091010, "UN", bytes(2**18))
    file = dicom_file(VOILUTSequence=[item, lut_item()])
    (table,) = look(file).header.tables
    assert sum(len(value) for _, _, value in table[1]) == 6 + 512


def test_the_digest_does_not_depend_on_the_file_meta_information() -> None:
    file = dicom_file()
    assert look(file).digest == look(b"x" * 128 + file[128:]).digest
    assert look(file).digest != look(dicom_file(PatientID="43")).digest


@pytest.mark.parametrize("body", [b"", b"x", b"\x02\0\0\0", dicom_file()[:140]])
def test_what_is_no_dicom_file_is_refused(body: bytes) -> None:
    with pytest.raises(MammosegError):
        look(body)


def test_private_elements_leave_the_character_set_as_it_came() -> None:
    # To find a private element's owner, pydicom decodes both, and the character set with them.
    made = Dataset()
    for tag, vr, value in (
        (0x00080005, "CS", b"ISO_IR 100"),
        (0x0020000D, "UI", b"1.2.3.4\0"),
        (0x00290010, "LO", b"SOMEBODY"),
        (0x00291001, "LO", b"SOMETHING "),
    ):
        made._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    made.set_original_encoding(False, True)
    header = excerpt(snapshot(made))
    assert [value for _, _, value in header.elements] == [b"ISO_IR 100", b"1.2.3.4\0"]
