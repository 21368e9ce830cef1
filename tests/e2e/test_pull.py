"""`mammoseg pull` from a real Orthanc's DICOMweb services, and back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from service.dicomweb.archive import Archive
from tests.dicom_files import multi_frame_file, phantom
from tests.e2e.pacs import RESULTS, SYNTAXES, assert_filed_under_source, in_syntax, results_in
from tests.identity_net import write_identity_net
from tests.orthanc import Orthanc, running_orthanc

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pull")


@pytest.fixture(scope="module")
def orthanc(folder: Path) -> Iterator[Orthanc]:
    with running_orthanc(folder) as orthanc:
        yield orthanc


def pull(
    orthanc: Orthanc, folder: Path, study: str, *options: str
) -> "subprocess.CompletedProcess[str]":
    model = folder / "identity.onnx"
    if not model.exists():
        write_identity_net(model)
    command = [sys.executable, "-m", "service", "pull", "--dicomweb", orthanc.dicomweb]
    return subprocess.run(
        [*command, "--study", study, *options],
        env=os.environ | {"MAMMOSEG_MODEL": str(model), "MAMMOSEG_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("number", range(len(SYNTAXES)), ids=SYNTAXES)
def test_an_instance_comes_in_the_transfer_syntax_it_is_stored_in(
    orthanc: Orthanc, cbis_files: list[Path], tmp_path: Path, number: int
) -> None:
    file = in_syntax(cbis_files[number], SYNTAXES[number], tmp_path)
    orthanc.store(file.read_bytes())
    stored = pydicom.dcmread(file)
    archive = Archive(orthanc.dicomweb, stored.StudyInstanceUID)
    (reference,) = archive.mammograms({"MG"})
    fetched = pydicom.dcmread(BytesIO(archive.retrieve(reference)))
    assert fetched.file_meta.TransferSyntaxUID == stored.file_meta.TransferSyntaxUID
    assert fetched.PixelData == stored.PixelData
    assert fetched == stored


def test_results_are_stored_in_the_study_and_kept_in_a_folder(
    orthanc: Orthanc, cbis_files: list[Path], folder: Path
) -> None:
    file = cbis_files[5]
    orthanc.store(file.read_bytes())
    header = pydicom.dcmread(file, stop_before_pixels=True)
    options = ("--store", "--out", str(folder / "out"), "--kinds", ",".join(RESULTS))
    done = pull(orthanc, folder, header.StudyInstanceUID, *options)
    assert done.returncode == 0, done.stderr
    found = results_in(orthanc, header.StudyInstanceUID)
    assert found.keys() == RESULTS.keys()
    assert_filed_under_source(orthanc, file, found)
    name = header.SOPInstanceUID
    document = json.loads((folder / "out" / f"{name}.json").read_text())
    assert document["image"]["sop_instance_uid"] == name
    for kind, instance in found.items():
        kept = pydicom.dcmread(folder / "out" / f"{name}-{kind}.dcm")
        assert kept == pydicom.dcmread(BytesIO(orthanc.file(instance)))

    again = pull(orthanc, folder, header.StudyInstanceUID, *options)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert results_in(orthanc, header.StudyInstanceUID) == found


@pytest.mark.long
def test_one_that_is_refused_does_not_keep_the_rest(
    orthanc: Orthanc, cbis_files: list[Path], folder: Path
) -> None:
    orthanc.store(cbis_files[6].read_bytes())
    header = pydicom.dcmread(cbis_files[6], stop_before_pixels=True)
    uids = {"StudyInstanceUID": header.StudyInstanceUID, "SeriesInstanceUID": "1.2.3.5"}
    orthanc.store(multi_frame_file([phantom()] * 2, PatientID=header.PatientID, **uids))
    done = pull(orthanc, folder, header.StudyInstanceUID, "--out", str(folder / "rest"))
    assert done.returncode == 1
    assert "multi-frame" in done.stderr
    assert (folder / "rest" / f"{header.SOPInstanceUID}-sr.dcm").is_file()


@pytest.mark.long
def test_what_cannot_begin_says_why(orthanc: Orthanc, folder: Path) -> None:
    done = pull(orthanc, folder, "1.2.3")
    assert done.returncode == 2 and "--out" in done.stderr
    away = running_nowhere(orthanc)
    done = pull(away, folder, "1.2.3", "--store")
    assert done.returncode == 2 and "cannot be searched" in done.stderr


def running_nowhere(orthanc: Orthanc) -> Orthanc:
    nowhere = "http://127.0.0.1:1"
    return Orthanc(nowhere, nowhere, 1, orthanc.folder, orthanc.process)
