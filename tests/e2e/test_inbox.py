"""The inbox as a PACS meets it: Orthanc sends by STOW-RS, and the results appear in its study."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests import http_client
from tests.e2e.conftest import Service, serving
from tests.identity_net import write_identity_net
from tests.orthanc import AET, Orthanc, running_orthanc
from tests.ports import free_port
from tests.programs import program_says
from tests.service.inbox.conftest import STUDY, mammogram
from tests.service.outputs.dicom.conftest import iod_errors
from tests.stow_server import stow_server
from tests.waiting import comes_true

pytestmark = pytest.mark.e2e

WAIT_S = 120.0


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Orthanc]:
    servers = {"mammoseg": {"Url": f"http://127.0.0.1:{port}/dicom-web/"}}
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(folder, DicomWeb={"Servers": servers}) as orthanc:
        yield orthanc


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, port: int, orthanc: Orthanc
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "model": str(write_identity_net(folder / "identity.onnx")),
        "destinations": orthanc.dicomweb,
        "inbox": str(folder / "inbox"),
        "inbox_results": "seg,sr,sc",
        "retry_first_s": "0.2",
    }
    with serving(folder, port=port, **settings) as service:
        yield service


def in_study(orthanc: Orthanc, study: str) -> list[dict[str, str]]:
    query = {"Level": "Instance", "Query": {"StudyInstanceUID": study}}
    return [
        orthanc.get(f"instances/{name}/simplified-tags")
        for name in orthanc.post("tools/find", query)
    ]


def modalities(orthanc: Orthanc, study: str) -> list[str]:
    return sorted(tags["Modality"] for tags in in_study(orthanc, study))


def metric(service: Service, name: str) -> float:
    for line in http_client.get(f"{service.url}/metrics", timeout=60).text.splitlines():
        if line.startswith(name):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_what_orthanc_exports_comes_back_into_the_study(
    service: Service, orthanc: Orthanc, cbis_files: list[Path]
) -> None:
    file = cbis_files[0]
    study = str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID)
    instance = orthanc.store(file.read_bytes())
    export = {"Resources": [instance], "Synchronous": True}
    for _ in range(2):
        orthanc.post("dicom-web/servers/mammoseg/stow", export)
        assert comes_true(lambda: modalities(orthanc, study) == ["MG", "OT", "SEG", "SR"])
    # Everything that is there goes through the door again, our own results with it.
    everything = orthanc.post("tools/find", {"Level": "Study", "Query": {}})
    orthanc.post("dicom-web/servers/mammoseg/stow", {"Resources": everything, "Synchronous": True})
    assert comes_true(lambda: metric(service, 'mammoseg_inbox_instances{state="set-aside"}') == 3)
    assert metric(service, 'mammoseg_inbox_instances{state="delivered"}') == 1
    assert modalities(orthanc, study) == ["MG", "OT", "SEG", "SR"]
    results = [tags for tags in in_study(orthanc, study) if tags["Modality"] != "MG"]
    assert len({tags["PatientID"] for tags in in_study(orthanc, study)}) == 1
    assert all(tags["Manufacturer"] == "mammoseg project" for tags in results)


def test_dicomweb_client_stores_instances(
    service: Service, orthanc: Orthanc, tmp_path: Path
) -> None:
    datasets = []
    for number in (1, 2):
        (tmp_path / "file.dcm").write_bytes(mammogram(number))
        datasets.append(pydicom.dcmread(tmp_path / "file.dcm"))
    client = DICOMwebClient(f"{service.url}/dicom-web")
    answer = client.store_instances(datasets, study_instance_uid=STUDY)
    stored = {str(item.ReferencedSOPInstanceUID) for item in answer.ReferencedSOPSequence}
    assert stored == {f"{STUDY}.1.1", f"{STUDY}.1.2"}
    assert "FailedSOPSequence" not in answer
    assert comes_true(lambda: modalities(orthanc, STUDY) == ["OT", "OT", "SEG", "SEG", "SR", "SR"])
    with pytest.raises(requests.HTTPError, match="409"):
        client.store_instances(datasets[:1], study_instance_uid="1.2.9")


@pytest.mark.parametrize("by", ["stow", "dicom"])
def test_orthanc_is_told_that_an_image_was_not_analysed(
    service: Service, orthanc: Orthanc, tmp_path: Path, by: str
) -> None:
    study = f"{STUDY}.77.{len(by)}"
    file = mammogram(NumberOfFrames="2", StudyInstanceUID=study, SOPInstanceUID=f"{study}.1")
    if by == "stow":
        report = told(service, orthanc, study, file)
    else:
        settings: dict[str, Any] = {
            "model": str(service.log.parent / "identity.onnx"),
            "destinations": f"dicom://{AET}@127.0.0.1:{orthanc.dicom_port}",
            "inbox": str(tmp_path / "inbox"),
        }
        with serving(tmp_path, **settings) as another:
            report = told(another, orthanc, study, file)
    path = tmp_path / "report.dcm"
    path.write_bytes(report)
    assert iod_errors(path) == []
    said = program_says("dsrdump", "dcmtk", "+Pl", path)
    assert not [line for line in said.splitlines() if line.startswith("E:")]
    assert "NOT ANALYSED" in said and "multi-frame" in said and "Not Attempted" in said


def told(service: Service, orthanc: Orthanc, study: str, file: bytes) -> bytes:
    """Send an image that the model must not judge, twice; return the report that Orthanc has."""
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/related; type=application/dicom; boundary=b"}
    for _ in range(2):
        answer = http_client.post(
            f"{service.url}/dicom-web/studies", content=body % file, headers=headers, timeout=60
        )
        assert answer.status_code == 200
        assert comes_true(lambda: modalities(orthanc, study))
    (tags,) = in_study(orthanc, study)
    assert (tags["Modality"], tags["PatientID"]) == ("SR", "42")
    assert tags["SeriesDescription"] == "Not analysed (AI, research use only)"
    query = {"Level": "Instance", "Query": {"StudyInstanceUID": study}}
    (instance,) = orthanc.post("tools/find", query)
    return orthanc.file(instance)


def test_what_storescu_sends_to_the_dimse_door_is_done_by_the_service(
    service: Service, orthanc: Orthanc, tmp_path: Path, cbis_files: list[Path]
) -> None:
    port, file = free_port(), cbis_files[1]
    environment = os.environ | {
        "MAMMOSEG_INBOX": str(service.log.parent / "inbox"),
        "MAMMOSEG_DESTINATIONS": orthanc.dicomweb,
    }
    command = [sys.executable, "-m", "service", "scp", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        assert b"scp-ready" in process.stderr.readline()
        said = program_says("storescu", "dcmtk", "-xr", "127.0.0.1", str(port), file)
        assert "E:" not in said and "F:" not in said
        study = str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID)
        assert comes_true(lambda: modalities(orthanc, study) == ["OT", "SEG", "SR"])
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"scp-stored" in log and study.encode() not in log


def test_a_service_that_stops_leaves_what_it_did_not_do_to_the_next(
    tmp_path: Path, cbis_files: list[Path]
) -> None:
    port = free_port()
    settings: dict[str, Any] = {
        "model": str(write_identity_net(tmp_path / "identity.onnx")),
        "destinations": f"http://127.0.0.1:{port}/dicom-web",
        "inbox": str(tmp_path / "inbox"),
        "retry_first_s": "0.1",
        "retry_longest_s": "1",
    }
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/related; type=application/dicom; boundary=b"}
    with serving(tmp_path, **settings) as service:
        for file in cbis_files[:3]:
            answer = http_client.post(
                f"{service.url}/dicom-web/studies",
                content=body % file.read_bytes(),
                headers=headers,
                timeout=60,
            )
            assert answer.status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=60) in (0, -signal.SIGTERM)
    with stow_server(port) as pacs, serving(tmp_path, **settings) as service:
        assert comes_true(
            lambda: metric(service, 'mammoseg_inbox_instances{state="delivered"}') == 3
        )
    assert len(pacs.received) == 6
    log = service.log.read_text()
    for uid in pacs.received:
        assert uid not in log
