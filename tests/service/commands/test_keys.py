"""`mammoseg keys`, as a process whose output goes somewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.access.keys import read_keys
from service.exit_status import WRITE_FAILED

pytestmark = pytest.mark.integration


def test_a_key_that_nobody_saw_is_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    command = [sys.executable, "-m", "service", "keys", "add", "--file", str(file)]
    seen = subprocess.run([*command, "seen"], capture_output=True, check=True)
    assert seen.stdout
    with Path("/dev/full").open("wb") as full:
        unseen = subprocess.run([*command, "unseen"], stdout=full, stderr=subprocess.PIPE)
    assert unseen.returncode == WRITE_FAILED and b"Traceback" not in unseen.stderr
    assert [key.name for key in read_keys(file)] == ["seen"]
