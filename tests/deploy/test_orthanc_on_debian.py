"""docs/pacs.md: its commands, done to Debian's configuration of Orthanc, make one that starts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.system.server_process import server_process, wait_until_ready
from tests import http_client
from tests.ports import free_port
from tests.programs import require_program, skip_or_fail

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DEBIANS = Path("/etc/orthanc")


def commands() -> list[str]:
    """Return those that set Orthanc up, until it is restarted."""
    page = (ROOT / "docs" / "pacs.md").read_text("utf-8")
    (block,) = re.findall(r"^## Orthanc, hook\n((?: {4}.*\n)+)", page, re.MULTILINE)
    lines = [line.strip() for line in block.splitlines()]
    return lines[: lines.index("systemctl restart orthanc")]


def test_orthanc_starts_with_debians_files_and_ours_beside_them(tmp_path: Path) -> None:
    program = require_program("Orthanc", "orthanc")
    if not (DEBIANS / "dicomweb.json").is_file():
        skip_or_fail(
            "needs the files of orthanc and orthanc-dicomweb in /etc/orthanc, as they came"
        )
    folder, port = tmp_path / "orthanc", free_port()
    shutil.copytree(DEBIANS, folder)
    for command in commands():
        here = command.replace(str(DEBIANS), str(folder))
        subprocess.run(["/bin/sh", "-ec", here], cwd=ROOT, check=True)
    # Beside a real one on this machine.
    for file in folder.glob("*.json"):
        text = file.read_text("utf-8").replace(f"{DEBIANS}/mammoseg", f"{folder}/mammoseg")
        text = re.sub(r'("HttpPort" *: *)\d+', rf"\g<1>{port}", text)
        text = re.sub(r'("DicomPort" *: *)\d+', rf"\g<1>{free_port()}", text)
        text = re.sub(
            r'("(?:Storage|Index)Directory" *: *)"[^"]*"', rf'\g<1>"{tmp_path}/storage"', text
        )
        file.write_text(text)
    log = tmp_path / "log"
    with log.open("wb") as sink, server_process([program, str(folder)], output=sink) as process:
        try:
            wait_until_ready(port, lambda: process.poll() is None, path="/dicom-web/studies")
        except TimeoutError:
            pytest.fail(log.read_text())
        servers = http_client.get(f"http://127.0.0.1:{port}/dicom-web/servers").json()
    assert servers == ["mammoseg"]
