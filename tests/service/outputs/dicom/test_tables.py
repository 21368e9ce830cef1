"""What is read before the first result."""

import sys
from subprocess import run

import pytest

pytestmark = pytest.mark.integration

FIRST_RESULT = """
import json
from service.outputs.dicom.tables import read_tables
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header
if {warm}: read_tables()
parsed, loads = [], json.loads
json.loads = lambda text, *given, **named: parsed.append(len(text)) or loads(text, *given, **named)
for kind in OUTPUTS: dicom_file(kind, findings_by_hand(), full_header())
print(sum(parsed))
"""


@pytest.mark.long
@pytest.mark.parametrize("warm", [False, True])
def test_results_read_no_tables_where_they_were_read_before(warm: bool) -> None:
    """Counted in another process: highdicom reads them once."""
    code = FIRST_RESULT.format(warm=warm)
    said = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (int(said.stdout) < 1_000_000) is warm
