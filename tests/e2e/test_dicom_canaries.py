"""Markers everywhere in the source; DICOM results carry its patient and study, and nothing else."""

import io
import os
from collections.abc import Iterator

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset

from service.outputs.dicom.registry import OUTPUTS
from tests import http_client
from tests.canaries import VALID, canary_file
from tests.dicom_files import SOP_INSTANCE_UID
from tests.e2e.conftest import Service, serving
from tests.e2e.test_canaries import HEADERS, WORD, check_answer, check_text, form
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.e2e

KEPT = {
    # What every result says of its patient and study (PS3.3 C.7.1.1, C.7.2.1).
    "PatientName": "KEPT^NAME",
    "PatientID": "KEPT-ID",
    "IssuerOfPatientID": "KEPT-ISSUER",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "StudyInstanceUID": "1.2.826.0.1.3680043.10.1.77.1",
    "StudyDate": "20190807",
    "StudyTime": "111213",
    "AccessionNumber": "KEPT-ACCESSION",
    "StudyID": "KEPT-STUDY",
    "ReferringPhysicianName": "KEPT^REFERRER",
}
NEEDED = {
    # Of the image, for its results to refer to it and to lie upon it.
    "SpecificCharacterSet": "ISO_IR 100",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.10.1.77.2",
    "ContentDate": "20190808",
    "ContentTime": "141516",
    "PatientOrientation": "A\\R",
    "ImageLaterality": "L",
    "TimezoneOffsetFromUTC": "+0100",
    "RescaleIntercept": "0",
    "RescaleSlope": "1",
}
MARKED = set(KEPT.values()) - {"F"}
REPORTED = {"cad-sr": {"Date", "Time"}, "sr": {"Date", "Time"}}
"""Beside them, when the study was, as content items (PS3.16 TID 4020)."""

CHANGES = {
    f"t{pydicom.datadict.tag_for_keyword(keyword):08x}": value.encode()
    for keyword, value in (KEPT | NEEDED).items()
}
SOURCE = canary_file(valid=True, **CHANGES)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PYTHONWARNINGS", "always")
        folder = tmp_path_factory.mktemp("canaries")
        model = write_identity_net(folder / "identity.onnx")
        with serving(folder, model=str(model), readers="1") as service:
            yield service


def send(service: Service, body: bytes, output: str) -> httpx.Response:
    request = form(body)
    headers = HEADERS | request.pop("headers")  # type: ignore[operator]
    query = {"output": output, "gate": "false"}
    url = f"{service.url}/v1/segment"
    return http_client.post(url, params=query, headers=headers, timeout=120, **request)  # type: ignore[arg-type]


def values(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield keyword and text of every element, nested ones included."""
    for element in dataset.iterall():
        if element.VR != "SQ":
            yield element.keyword, str(element.value)


def check_what_is_kept(service: Service) -> None:
    log, metrics = service.log.read_text(), http_client.get(f"{service.url}/metrics").text
    assert '"event": "request"' in log and "mammoseg_requests_total" in metrics
    for text in (log, metrics):
        check_text(text)
        assert not [value for value in (*MARKED, SOP_INSTANCE_UID) if value in text]
    assert "Warning" not in log


def test_the_source_is_full_of_markers() -> None:
    assert SOURCE.count(WORD.encode()) > 3000
    assert all(value.encode() in SOURCE for value in VALID.values())


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_result_carries_the_patient_and_the_study_and_nothing_else(
    service: Service, kind: str
) -> None:
    answer = send(service, SOURCE, kind)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    check_text(repr(sorted(answer.headers.items())))
    check_text(answer.content.decode("latin-1"))
    result = pydicom.dcmread(io.BytesIO(answer.content))
    assert {keyword: str(result.get(keyword)) for keyword in KEPT} == KEPT
    assert not [element for element in result.iterall() if element.tag.is_private]
    # What is the patient's stands in the elements that are the patient's.
    told = {keyword for keyword, value in values(result) if value in MARKED}
    assert told - REPORTED.get(kind, set()) == set(KEPT) - {"PatientSex"}
    check_what_is_kept(service)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_source_whose_uids_are_markers_is_refused_and_not_told(
    service: Service, kind: str
) -> None:
    answer = send(service, canary_file(valid=False), kind)
    assert (answer.status_code, answer.json()["code"]) == (406, "source-uids")
    check_answer(answer)
    check_what_is_kept(service)
