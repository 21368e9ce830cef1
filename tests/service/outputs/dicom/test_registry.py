"""The table of results."""

from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pkgutil import iter_modules

import pydicom
import pytest

from service.findings import SEVERAL
from service.imaging.mammogram import Caveat
from service.imaging.reduced_decoding import WHOLE_PICTURE
from service.outputs import dicom
from service.outputs.dicom import registry
from service.outputs.dicom.instance import Kind
from service.outputs.dicom.registry import OUTPUTS, DicomOutput, dicom_file, picture_side
from service.outputs.dicom.sr import measurement_report
from service.segmenter import SPACING_ASSUMED
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header

pytestmark = pytest.mark.unit

CLASSES = {
    "seg": "Segmentation Storage",
    "seg-fractional": "Segmentation Storage",
    "sr": "Enhanced SR Storage",
    "cad-sr": "Mammography CAD SR Storage",
    "sc": "Secondary Capture Image Storage",
    "gsps": "Grayscale Softcopy Presentation State Storage",
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_each_row_makes_its_class_in_its_syntax(kind: str) -> None:
    read = pydicom.dcmread(BytesIO(dicom_file(kind, findings_by_hand(), full_header())))
    assert read.SOPClassUID.name == CLASSES[kind]
    assert read.SOPClassUID == OUTPUTS[kind].sop_class_uid
    assert read.file_meta.TransferSyntaxUID == OUTPUTS[kind].transfer_syntax_uid
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    assert "research use only" in read.SeriesDescription
    assert (read.ManufacturerModelName, read.DeviceSerialNumber) == (
        "mammoseg-test",
        findings_by_hand().model.sha256,
    )


def test_no_two_kinds_share_a_name_or_a_series_number() -> None:
    # Of what has no row, too: by its number recovery tells a report that nothing was analysed.
    modules = [
        import_module(each.name) for each in iter_modules(dicom.__path__, "service.outputs.dicom.")
    ]
    kinds = {one for module in modules for one in vars(module).values() if isinstance(one, Kind)}
    assert len(kinds) > len(OUTPUTS)
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert len({kind.series_number for kind in kinds}) == len(kinds)


def test_only_a_capture_holds_a_picture_of_the_image() -> None:
    assert picture_side(()) == picture_side(kind for kind in OUTPUTS if kind != "sc") == 0
    assert picture_side(("seg", "sc")) == WHOLE_PICTURE


def test_a_stranger_adds_a_result_by_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = DicomOutput(
        measurement_report,
        pydicom.uid.EnhancedSRStorage,
        pydicom.uid.ExplicitVRLittleEndian,
        "A test's own.",
    )
    monkeypatch.setattr(registry, "OUTPUTS", {**OUTPUTS, "own": row})
    assert dicom_file("own", findings_by_hand(), full_header())


@pytest.mark.parametrize("kind", sorted(OUTPUTS.keys() - {"sc"}))
@pytest.mark.parametrize("score", [0.93, 0.1])
def test_an_answer_that_warns_does_so_in_every_object(kind: str, score: float) -> None:
    # Of the picture, see test_sc.py.
    caveats = (SEVERAL, SPACING_ASSUMED)
    findings = replace(findings_by_hand(score=score), caveats=caveats)
    said = texts_of(dicom_file(kind, findings, full_header()))
    for caveat in caveats:
        assert any(caveat.detail in text or caveat.code in text for text in said)
    quiet = texts_of(dicom_file(kind, findings_by_hand(score=score), full_header()))
    assert not any("warning" in text.lower() for text in quiet)


def texts_of(file: bytes) -> list[str]:
    read = pydicom.dcmread(BytesIO(file))
    return [str(item.value) for item in read.iterall() if item.VR in ("ST", "UT", "LO")]


@pytest.mark.parametrize("kind", OUTPUTS)
def test_no_number_of_warnings_is_too_long_for_an_object(kind: str) -> None:
    many = tuple(Caveat("x" * 60, "A sentence of a warning. " * 8) for _ in range(30))
    file = dicom_file(kind, replace(findings_by_hand(), caveats=many), full_header())
    assert all(len(str(item.value)) <= 1024 for item in pydicom.dcmread(BytesIO(file)).iterall()
               if item.VR == "ST")  # fmt: skip


@pytest.mark.parametrize("kind", OUTPUTS)
def test_all_text_of_our_own_is_ascii(kind: str) -> None:
    # It must fit whatever character set the source has.
    read = pydicom.dcmread(BytesIO(dicom_file(kind, findings_by_hand(), full_header())))
    for item in read.iterall():
        assert str(item.value).isascii() or item.VR in ("OB", "OW"), item.keyword
