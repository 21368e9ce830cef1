"""What the tests of a PACS share.

Real mammograms in many transfer syntaxes, and the wait for what comes of them.
"""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from tests import http_client
from tests.dicom_files import encode
from tests.orthanc import AET, Orthanc
from tests.programs import program_says

WAIT_S = 120.0
"""Far more than it takes on an idle machine; how long it took is printed."""

SYNTAXES = ("rle", "plain", "jpeg-lossless", "jpeg-ls", "jpeg-2000")
EACH_SYNTAX = [
    pytest.param(number, id=syntax, marks=[] if syntax == "jpeg-2000" else [pytest.mark.long])
    for number, syntax in enumerate(SYNTAXES)
]
"""Of what comes after the reading; `test_pull` has every one of them read each time."""

_PROPOSED = {
    "rle": "-xr",
    "jpeg-lossless": "-xs",
    "jpeg-ls": "-xt",
    "jpeg-2000": "-xv",
    "jpeg-2000-lossy": "-xw",
}
RESULTS = {"seg": "SEG", "sr": "SR", "sc": "OT"}
"""Modality of a result, by its kind."""


def in_syntax(file: Path, syntax: str, folder: Path) -> Path:
    """Transcode a CBIS-DDSM file, which is RLE, without touching its UIDs."""
    if syntax == "rle":
        return file
    plain, coded = folder / f"{file.stem}-plain.dcm", folder / f"{file.stem}-{syntax}.dcm"
    assert "E:" not in program_says("dcmdrle", "dcmtk", file, plain)
    if syntax == "plain":
        return plain
    if syntax == "jpeg-2000":
        _write_jpeg_2000(plain, coded)
    else:
        program = {"jpeg-lossless": "dcmcjpeg", "jpeg-ls": "dcmcjpls"}[syntax]
        assert "E:" not in program_says(program, "dcmtk", plain, coded)
    return coded


def _write_jpeg_2000(plain: Path, coded: Path) -> None:
    image = pydicom.dcmread(plain)
    frame = encode(image.pixel_array.astype(np.int32), JPEG2000Lossless, 16, 16)
    image.PixelData = encapsulate([frame])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    image.save_as(coded)


def send(orthanc: Orthanc, file: Path, syntax: str) -> str:
    """C-STORE a file with dcmtk's storescu; give its Study Instance UID."""
    proposed = [_PROPOSED[syntax]] if syntax in _PROPOSED else []
    said = program_says(
        *("storescu", "dcmtk", *proposed, "-aec", AET),
        *("127.0.0.1", str(orthanc.dicom_port), file),
    )
    assert "E:" not in said and "F:" not in said, said
    return str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID)


def results_in(orthanc: Orthanc, study_uid: str) -> dict[str, str]:
    """Return Orthanc's identifiers of a study's results by kind."""
    found: dict[str, str] = {}
    for kind, modality in RESULTS.items():
        query = {"StudyInstanceUID": study_uid, "Modality": modality}
        instances = orthanc.post("tools/find", {"Level": "Instance", "Query": query})
        assert len(instances) <= 1, f"{kind} was stored {len(instances)} times"
        if instances:
            found[kind] = instances[0]
    return found


def arrivals(orthanc: Orthanc) -> int:
    """Count how often an instance was stored, one that was there already too."""
    count, since, done = 0, 0, False
    while not done:
        page = orthanc.get(f"changes?since={since}&limit=100")
        count += sum(change["ChangeType"] == "NewInstance" for change in page["Changes"])
        since, done = page["Last"], page["Done"]
    return count


def wait_for(what: str, is_there: Callable[[], Any]) -> Any:
    """Wait until something is there, and give it; print how long it took."""
    started = time.monotonic()
    while time.monotonic() - started < WAIT_S:
        if there := is_there():
            print(f"{what}: {time.monotonic() - started:.1f} s")  # noqa: T201
            return there
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {WAIT_S:.0f} s")


def wait_for_results(orthanc: Orthanc, study_uid: str, what: str) -> dict[str, str]:
    """Wait until a study holds all of `RESULTS`."""

    def all_of_them() -> dict[str, str] | None:
        found = results_in(orthanc, study_uid)
        return found if found.keys() == RESULTS.keys() else None

    found: dict[str, str] = wait_for(what, all_of_them)
    return found


def assert_filed_under_source(orthanc: Orthanc, source: Path, found: dict[str, str]) -> None:
    """Check on the PACS that results lie in the source's study, refer to it, and can be read."""
    header = pydicom.dcmread(source, stop_before_pixels=True)
    studies = {orthanc.get(f"instances/{name}/study")["ID"] for name in found.values()}
    assert len(studies) == 1
    (study,) = studies
    tags = orthanc.get(f"studies/{study}")
    assert tags["MainDicomTags"]["StudyInstanceUID"] == header.StudyInstanceUID
    assert tags["PatientMainDicomTags"]["PatientID"] == header.PatientID
    for name in found.values():
        assert (
            orthanc.get(f"instances/{name}/tags")["0020,000d"]["Value"] == header.StudyInstanceUID
        )
        assert header.SOPInstanceUID in _text_of(orthanc.file(name))
    preview = http_client.get(f"{orthanc.url}/instances/{found['sc']}/preview", timeout=30)
    assert preview.headers["Content-Type"] == "image/png" and len(preview.content) > 10_000


def _text_of(file: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(file), stop_before_pixels=True))
