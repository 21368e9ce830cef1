"""Text of the patient and the study is carried over byte for byte, in whatever set it is written.

Each text is compared with the source's bytes; whoever reads both objects reads the same in both.
"""

from io import BytesIO

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.errors import NotAcceptable
from service.imaging.dicom import parse
from service.outputs.dicom.reference import read_source
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header
from tests.thinned import thinned

pytestmark = pytest.mark.integration

TEXTS = ("PatientID", "PatientName", "IssuerOfPatientID", "AccessionNumber", "StudyID")
NAMES = ("PatientName", "ReferringPhysicianName")
CHARACTER_SET = "SpecificCharacterSet"

JIS = b"\x1b$B;3ED\x1b(B1"

CARRIED = {
    "shift-jis under ISO_IR 13": (b"ISO_IR 13", "患者1".encode("shift_jis")),
    "shift-jis with a backslash as second byte": (b"ISO_IR 13", "ソ1".encode("shift_jis")),
    "shift-jis under ISO 2022 IR 13": (b"ISO 2022 IR 13", "患者1".encode("shift_jis")),
    "shift-jis beside kanji": (b"ISO 2022 IR 13\\ISO 2022 IR 87", "患者1".encode("shift_jis")),
    "shift-jis without a set": (None, "患者1".encode("shift_jis")),
    "shift-jis under latin-1": (b"ISO_IR 100", "患者1".encode("shift_jis")),
    "half-width katakana": (b"ISO_IR 13", b"\xd4\xcf\xc0\xde1"),
    "overline and yen, or tilde": (b"ISO_IR 13", b"A~1"),
    "single-valued ISO 2022 IR 87": (b"ISO 2022 IR 87", JIS),
    "kanji as the standard says": (b"\\ISO 2022 IR 87", JIS),
    "kanji that stay in two bytes to the end": (b"\\ISO 2022 IR 87", b"A\x1b$B;3"),
    "old kanji, ESC $ @": (b"\\ISO 2022 IR 87", b"\x1b$@;3ED\x1b(J1"),
    "more kanji": (b"\\ISO 2022 IR 159", b"\x1b$(D\x30\x21\x1b(B1"),
    "escapes without a set": (None, JIS),
    "escapes under another set": (b"ISO_IR 100", JIS),
    "chinese by code extension": (b"\\ISO 2022 IR 58", b"\x1b$)A\xd5\xc5"),
    "single-valued ISO 2022 IR 58": (b"ISO 2022 IR 58", b"\x1b$)A\xd5\xc5"),
    "chinese whose escape is missing": (b"\\ISO 2022 IR 58", b"\xd5\xc5"),
    "a mistake of the tables": (b"\\ISO 2022 58", b"\x1b$)A\xd5\xc5"),
    "korean": (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe6\xb5\xbf"),
    "gb18030": (b"GB18030", "王小东𠀀".encode("gb18030")),
    "gb18030 with a backslash as second byte": (b"GB18030", "乗1".encode("gb18030")),
    "gb18030 of the private area": (b"GB18030", "\ue000\ue5e51".encode("gb18030")),
    "gbk": (b"GBK", "王小东".encode("gbk")),
    "gbk under gb18030": (b"GB18030", "王小东".encode("gbk")),
    "utf-8": (b"ISO_IR 192", "Żaneta王\u200c\U0001f600".encode()),
    "utf-8 with a marker of its order": (b"ISO_IR 192", "\ufeffŻ1".encode()),
    "utf-8 not normalised": (b"ISO_IR 192", "u\u0308\u212b".encode()),
    "utf-8 labelled latin-1": (b"ISO_IR 100", "Müller1".encode()),
    "latin-1 labelled utf-8": (b"ISO_IR 192", "Müller1".encode("latin-1")),
    "utf-8 without a set": (None, "Müller1".encode()),
    "latin-1 without a set": (None, "Müller1".encode("latin-1")),
    "latin-1 with an empty set": (b"", "Müller1".encode("latin-1")),
    "latin-1 as ASCII": (b"ISO_IR 6", "Müller1".encode("latin-1")),
    "windows-1252 labelled latin-1": (b"ISO_IR 100", b"O\x92Neil\x80"),
    "a hole of latin-3": (b"ISO_IR 109", b"A\xa5\xae1"),
    "greek by code extension": (b"ISO 2022 IR 100\\ISO 2022 IR 126", b"\xc4\x1b-F\xc4\x1b-A\xc4"),
    "thai": (b"ISO_IR 166", b"\xa1\xd2\xc31"),
    "hebrew": (b"ISO_IR 138", b"\xf9\xec\xe51"),
    "arabic": (b"ISO_IR 127", b"\xc2\xc31"),
    "latin-9, which is young": (b"ISO_IR 203", b"\xa4\xbd1"),
    "an unknown set": (b"ISO_IR 999", b"M\xfcller1"),
    "an unknown set beside a known one": (b"ISO_IR 100\\ISO_IR 999", b"M\xfcller1"),
    "a misspelt set": (b"ISO-IR 144", "Юлия1".encode("iso8859-5")),
    "a misspelt code extension": (b"\\ISO 2022-IR 87", JIS),
    "a set without its underscore": (b"ISO IR 100", b"M\xfcller1"),
    "a set in small letters": (b"iso_ir 192", "Müller1".encode()),
    "a name of another trade": (b"UTF-8", "Müller1".encode()),
    "several sets of which one stands alone": (b"ISO_IR 192\\ISO 2022 IR 6", "Müller1".encode()),
    "a set padded on both sides": (b" ISO_IR 100 ", b"M\xfcller1"),
    "blanks in front": (b"ISO_IR 100", b"  M\xfc1"),
}


def header_with(character_set: bytes | None, raw: bytes, *keywords: str) -> Dataset:
    """Return a header in which elements hold just these bytes, as a file's would."""
    header = full_header()
    del header[CHARACTER_SET]
    values = dict.fromkeys(keywords, raw)
    if character_set is not None:
        values[CHARACTER_SET] = character_set
    for keyword, value in values.items():
        tag = Tag(keyword)
        vr = dictionary_VR(tag)
        header[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return header


def bytes_of(dataset: Dataset, keyword: str) -> bytes | None:
    """Return an element's bytes as a file has them, without padding behind."""
    element = dataset.get_item(Tag(keyword)) if keyword in dataset else None
    return None if element is None else bytes(element.value or b"").rstrip(b" \0")


def result_of(header: Dataset, kind: str = "sr") -> Dataset:
    return parse(dicom_file(kind, findings_by_hand(), header), 0).dataset


@pytest.mark.parametrize("case", thinned(CARRIED, 2))
def test_text_keeps_its_bytes_and_its_character_set(case: str) -> None:
    character_set, raw = CARRIED[case]
    result = result_of(header_with(character_set, raw, *TEXTS))
    assert {keyword: bytes_of(result, keyword) for keyword in TEXTS} == dict.fromkeys(TEXTS, raw)
    assert (bytes_of(result, CHARACTER_SET) or b"") == (character_set or b"").strip()


@pytest.mark.parametrize("case", thinned(CARRIED, 2, 1))
def test_names_of_groups_and_components_keep_their_bytes(case: str) -> None:
    character_set, raw = CARRIED[case]
    name = b"Yamada^Tarou=" + raw + b"^" + raw
    result = result_of(header_with(character_set, name, *NAMES))
    assert {keyword: bytes_of(result, keyword) for keyword in NAMES} == dict.fromkeys(NAMES, name)


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("case", ["shift-jis under ISO_IR 13", "chinese by code extension"])
def test_every_kind_of_result_keeps_them(kind: str, case: str) -> None:
    character_set, raw = CARRIED[case]
    file = dicom_file(kind, findings_by_hand(), header_with(character_set, raw, "PatientID"))
    result = parse(file, 0).dataset
    assert (bytes_of(result, "PatientID"), bytes_of(result, CHARACTER_SET)) == (raw, character_set)
    # What is our own is written in ASCII, which all sets contain.
    assert b"mammoseg" in file and b"\x1b(B(" not in file


REFUSED = {
    "a control character": (b"ISO_IR 100", b"A\x07\xfc"),
    "a line break": (b"ISO_IR 192", "Ü\r\n1".encode()),
    "a NUL in the middle": (b"ISO_IR 100", b"12\x0034"),
    "a NUL in front": (b"ISO_IR 100", b"\x001234"),
    "an escape of a terminal": (b"ISO_IR 100", b"A\x1b]0;x\x07"),
    "half an escape": (b"\\ISO 2022 IR 87", b"A\x1b"),
    "two values": (b"ISO_IR 100", b"M\xfc\\A"),
    "two values in an unknown set": (b"ISO_IR 999", b"M\xfc\\A"),
    "too many characters": (b"ISO_IR 192", "ü".encode() * 65),
    "too many bytes of an unknown set": (b"ISO_IR 999", b"\xfc" * 65),
    "megabytes": (b"ISO_IR 100", b"\xfc" * 2**20),
    "a set that is no code string": (b"ISO_IR 100\x07", b"M\xfc1"),
    "a set of a hundred terms": (b"\\".join([b"ISO 2022 IR 100"] * 100), b"M\xfc1"),
    "a codec that is none of text": (b"zip", b"M\xfc1"),
    "a codec that is not ASCII's": (b"utf_16", b"M\xfc1"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("keyword", ["PatientID", "IssuerOfPatientID"])
def test_an_id_that_cannot_be_carried_over_is_refused(keyword: str, case: str) -> None:
    with pytest.raises(NotAcceptable, match="source-patient-id"):
        read_source(header_with(*REFUSED[case], keyword))


@pytest.mark.parametrize("case", REFUSED)
def test_other_text_that_cannot_be_carried_over_is_left_empty(case: str) -> None:
    result = result_of(header_with(*REFUSED[case], "AccessionNumber", "PatientName"))
    assert (result.AccessionNumber, str(result.PatientName)) == ("", "")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"0042", b"0042"),
        (b"0042\0", b"0042"),
        (b"42 \0", b"42"),
        (b" 42", b" 42"),
        (b"4 2", b"4 2"),
        (b"P" * 64, b"P" * 64),
        (b"a^b=c", b"a^b=c"),
    ],
)
def test_an_ascii_id_is_carried_over_but_for_its_padding(raw: bytes, kept: bytes) -> None:
    result = result_of(header_with(b"ISO_IR 100", raw, "PatientID"))
    assert bytes_of(result, "PatientID") == kept


@pytest.mark.parametrize("vr", ["LO", "SH", "UN", "OB", "PN"])
def test_a_value_representation_that_is_wrong_changes_nothing(vr: str) -> None:
    header = header_with(b"ISO_IR 100", b"", "PatientID")
    tag = Tag("PatientID")
    header[tag] = RawDataElement(tag, vr, 6, b"M\xfcl 01", 0, False, True)
    result = pydicom.dcmread(BytesIO(dicom_file("sr", findings_by_hand(), header)))
    assert result["PatientID"].VR == "LO"
    assert result.PatientID == "Mül 01"


def test_text_set_by_hand_is_written_in_a_set_that_holds_it() -> None:
    for terms, expected in (
        ("ISO_IR 100", "ISO_IR 192"),
        (["", "ISO 2022 IR 58"], "ISO_IR 192"),
        ("ISO 2022 IR 87", "ISO_IR 192"),
        ("GB18030", "GB18030"),
    ):
        header = full_header(SpecificCharacterSet=terms, PatientID="张1")
        result = pydicom.dcmread(BytesIO(dicom_file("sr", findings_by_hand(), header)))
        assert (result.PatientID, result.SpecificCharacterSet) == ("张1", expected)
