import pytest

from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header


@pytest.fixture(scope="session")
def results() -> dict[str, bytes]:
    """One file of each kind."""
    return {kind: dicom_file(kind, findings_by_hand(), full_header()) for kind in OUTPUTS}
