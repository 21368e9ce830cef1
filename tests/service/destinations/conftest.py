from pathlib import Path

import pytest

from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header
from tests.service.destinations.c_store import SEG
from tests.service.inbox.conftest import mammogram


@pytest.fixture(scope="session")
def results() -> dict[str, bytes]:
    """One file of each kind."""
    return {kind: dicom_file(kind, findings_by_hand(), full_header()) for kind in OUTPUTS}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A result, by its header a segmentation."""
    path = tmp_path / "result.dcm"
    path.write_bytes(mammogram(SOPClassUID=SEG, Modality="SEG"))
    return path
