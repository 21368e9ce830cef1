"""Headers that lie, lack and mumble: kept exactly, left empty, or refused."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.errors import NotAcceptable
from service.outputs.dicom.reference import NO_DATE, NO_TIME, read_source
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import PRIVATE, as_file, full_header
from tests.programs import program_says
from tests.service.outputs.dicom.conftest import Written, iod_errors

pytestmark = pytest.mark.integration

NAME = 0x00100010


def reread(header: Dataset) -> Dataset:
    """Write and read a header: its elements are then bytes, as those of a file are."""
    return pydicom.dcmread(BytesIO(as_file(header)), stop_before_pixels=True)


def with_raw(keyword: str, raw: bytes, **elements: Any) -> Dataset:
    """Return a header in which an element holds just these bytes, as a file's would."""
    header = full_header(**elements)
    tag = Tag(keyword)
    header[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)
    return header


LANGUAGES = {
    "latin": ("ISO_IR 100", "Müller^Käthe"),
    "central european": ("ISO_IR 101", "Dvořák^Žofie"),
    "cyrillic": ("ISO_IR 144", "Люксембург^Роза"),
    "greek": ("ISO_IR 126", "Διονυσιος^Μαρία"),
    "utf-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_dcmtk_reads_a_name_in_the_sources_own_character_set(tmp_path: Path, language: str) -> None:
    character_set, name = LANGUAGES[language]
    header = reread(full_header(SpecificCharacterSet=character_set, PatientName=name))
    before = bytes(header.get_item(NAME).value)
    file = tmp_path / "result.dcm"
    file.write_bytes(dicom_file("sr", findings_by_hand(), header))
    result = pydicom.dcmread(file)
    assert result.SpecificCharacterSet == header.SpecificCharacterSet
    assert bytes(result.get_item(NAME).value).rstrip() == before.rstrip()
    assert f"[{name}" in program_says("dcmdump", "dcmtk", "+U8", "+P", "PatientName", file)


STANDARD = {
    # PS3.5 H.3.1, H.3.2 and I.2: the standard's own bytes; dcmtk 3.6.7 reads none of these.
    "japanese": (
        ["", "ISO 2022 IR 87"],
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "half-width japanese": (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="
        b"\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "korean": (
        ["", "ISO 2022 IR 149"],
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7="
        b"\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
}


@pytest.mark.parametrize("language", STANDARD)
def test_the_standards_own_examples_keep_their_bytes(language: str) -> None:
    character_set, raw, name = STANDARD[language]
    header = with_raw("PatientName", raw, SpecificCharacterSet=character_set)
    result = pydicom.dcmread(BytesIO(dicom_file("sr", findings_by_hand(), header)))
    assert [term or "" for term in result.SpecificCharacterSet] == character_set
    assert bytes(result.get_item(NAME).value).rstrip() == raw
    assert str(result.PatientName) == name


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (None, ()),
        ("ISO_IR 100", ("ISO_IR 100",)),
        ("ISO-IR 144", ("ISO_IR 144",)),
        (["ISO_IR 192", "ISO 2022 IR 6"], ("ISO_IR 192",)),
        ("ISO_IR 999", ()),
    ],
)
def test_with_ascii_alone_a_set_is_written_that_readers_know(
    declared: str | list[str] | None, written: tuple[str, ...]
) -> None:
    source = read_source(with_raw("PatientName", b"Miller", SpecificCharacterSet=declared))
    assert (source.character_set, source.kept_bytes) == (written, {})
    assert source.identity["PatientName"] == "Miller"


def test_text_that_its_own_set_cannot_hold_is_written_as_utf_8() -> None:
    header = full_header(SpecificCharacterSet="ISO_IR 100", PatientName="Дмитрий")
    source = read_source(header)
    assert (source.character_set, source.identity["PatientName"]) == (("ISO_IR 192",), "Дмитрий")


DIRTY = {
    "PatientName": ["a^b^c^d^e^f", "x" * 65, "a=b=c=d", "tab\tname", None, ""],
    "PatientBirthDate": ["1960-02-29", "19610229", "19600229 1", None],
    "PatientSex": ["W", "female", None],
    "AccessionNumber": ["A" * 17, None],
    "StudyID": ["A" * 17, None],
    "StudyDate": ["2023.04.05", "20231345", None],
    "StudyTime": ["08:15:00", "2500", None],
    "ReferringPhysicianName": ["x" * 65, None],
}


@pytest.mark.parametrize(
    ("keyword", "value"), [(key, value) for key, values in DIRTY.items() for value in values]
)
def test_what_is_not_valid_is_left_empty_never_altered(keyword: str, value: str | None) -> None:
    assert read_source(_with_text(keyword, value)).identity[keyword] is None


def _without(*keywords: str) -> Dataset:
    dropped: dict[str, Any] = dict.fromkeys(keywords)
    return full_header(**dropped)


def _with_text(keyword: str, value: str | None) -> Dataset:
    if value is None:
        return _without(keyword)
    return with_raw(keyword, value.encode())


def test_results_of_a_dirty_header_are_valid(written: Written) -> None:
    header = full_header(
        PatientOrientation=["CC", "X"],
        ContentDate=None,
        AcquisitionDate=None,
        SeriesDate=None,
        WindowWidth=0,
        PatientID="",
    )
    for keyword, values in DIRTY.items():
        header[keyword] = _with_text(keyword, values[0])[keyword]
    files = written(findings_by_hand(), header)
    assert {kind: iod_errors(file) for kind, file in files.items()} == {k: [] for k in OUTPUTS}


def test_results_of_a_bare_header_are_valid(written: Written) -> None:
    header, full = Dataset(), full_header()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(header, keyword, full[keyword].value)
    source = read_source(header)
    assert (source.content_date, source.content_time) == (NO_DATE, NO_TIME)
    files = written(findings_by_hand(laterality=None, view_position=None), header)
    assert {kind: iod_errors(file) for kind, file in files.items()} == {k: [] for k in OUTPUTS}


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
@pytest.mark.parametrize(
    "uid", ["", None, "not a uid", "1..2", "1.2.", ".1.2", "1.2.3\\1.2.4", "1." + "2" * 63]
)
def test_without_its_uids_a_source_is_refused(keyword: str, uid: str | None) -> None:
    with pytest.raises(NotAcceptable, match="source-uids"):
        read_source(_with_text(keyword, uid))


@pytest.mark.parametrize("raw", [b"1.2.840.010.3", b"1.2.840.00.3\0", b"1.2.840.010.3 "])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_uid_with_a_leading_zero_is_carried_over_as_it_is(kind: str, raw: bytes) -> None:
    header = with_raw("SOPInstanceUID", raw)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        header[keyword] = with_raw(keyword, raw)[keyword]
    uid = raw.strip(b"\0 ").decode("ascii")
    result = pydicom.dcmread(BytesIO(dicom_file(kind, findings_by_hand(), header)))
    assert result.StudyInstanceUID == uid
    referred = {
        item.value for item in result.iterall() if item.keyword == "ReferencedSOPInstanceUID"
    }
    assert uid in referred
    assert result.SOPInstanceUID.is_valid and result.SeriesInstanceUID.is_valid


@pytest.mark.parametrize("patient_id", ["P" * 65, "one\\two", "bell\a"])
def test_a_patient_id_is_never_altered(patient_id: str) -> None:
    with pytest.raises(NotAcceptable, match="source-patient-id") as refused:
        read_source(_with_text("PatientID", patient_id))
    assert patient_id[:5] not in str(refused.value)


def test_what_broke_off_is_left_empty() -> None:
    header = full_header()
    tag = Tag("StudyTime")
    header[tag] = RawDataElement(tag, "T\0", 6, None, 0, False, True)
    assert read_source(header).study_time is None


def test_a_makers_own_sop_class_is_referred_to(written: Written) -> None:
    header = full_header(SOPClassUID="1.2.840.113619.4.30")
    for kind, file in written(findings_by_hand(), header).items():
        assert iod_errors(file) == [], kind
        referred = {
            item.value
            for item in pydicom.dcmread(file).iterall()
            if item.keyword == "ReferencedSOPClassUID"
        }
        assert referred == {"1.2.840.113619.4.30"}, kind


@pytest.mark.parametrize("names", [["One^A", "Two^B"], ["One^A", ""]])
def test_of_several_values_none_is_chosen(names: list[str]) -> None:
    assert read_source(full_header(PatientName=names)).identity["PatientName"] is None
    raw = "\\".join(names).encode()
    assert read_source(with_raw("PatientName", raw)).identity["PatientName"] is None


@pytest.mark.parametrize(
    ("directions", "kept"),
    [
        (["A", "FR"], ("A", "FR")),
        (["P", "L"], ("P", "L")),
        ("CC", None),
        (["CC", "MLO"], None),
        (["A", "AP"], None),
        (["A", "RR"], None),
        (["A"], None),
        (None, None),
    ],
)
def test_only_anatomical_directions_are_an_orientation(
    directions: list[str] | str | None, kept: tuple[str, str] | None
) -> None:
    assert read_source(full_header(PatientOrientation=directions)).patient_orientation == kept


@pytest.mark.parametrize(
    ("missing", "moment"),
    [
        ((), ("20230405", "081702.250")),
        (("ContentTime",), ("20230405", NO_TIME)),
        (("ContentDate",), ("20230405", "081701")),
        (("ContentDate", "AcquisitionDate", "SeriesDate"), ("20230405", "081500")),
    ],
)
def test_the_moment_is_the_first_that_the_source_states(
    missing: tuple[str, ...], moment: tuple[str, str]
) -> None:
    source = read_source(_without(*missing))
    assert (source.content_date, source.content_time) == moment


@pytest.mark.parametrize("kind", OUTPUTS)
def test_nothing_that_is_not_required_is_carried_over(kind: str) -> None:
    file = dicom_file(kind, findings_by_hand(), full_header())
    for canary in (PRIVATE, "canary comment", "canary hospital", "063Y", "Maker"):
        assert canary.encode() not in file
    kept = pydicom.dcmread(BytesIO(file))
    assert (kept.PatientID, kept.IssuerOfPatientID) == ("PID-0001", "HOSPITAL")
    assert (kept.StudyInstanceUID, kept.AccessionNumber) == ("1.2.826.0.1.3680043.10.1.2", "ACC-77")
    assert ("PixelData" in kept) is (kind in ("seg", "seg-fractional", "sc"))


def test_names_never_enter_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for kind in OUTPUTS:
        # highdicom warns of a name without a caret, and quotes it.
        dicom_file(kind, findings_by_hand(), full_header(PatientName="Canary"))
    assert "Canary" not in caplog.text
