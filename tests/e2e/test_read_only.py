"""The service where nothing can be written: `docker run --read-only`, without a /tmp."""

from pathlib import Path

import httpx
import pytest

from service.system.server_process import serve_command
from tests.e2e.conftest import running
from tests.ports import free_port
from tests.programs import require_bwrap

pytestmark = pytest.mark.e2e


def test_nothing_is_written_to_serve(cbis_files: list[Path], tmp_path: Path) -> None:
    bwrap = require_bwrap()
    port = free_port()
    closed = [bwrap, "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    command = [*closed, *serve_command(port)]
    environment = {"MAMMOSEG_DEVICE": "cpu", "HOME": "/nonexistent"}
    with running(command, port, tmp_path / "service.log", environment):
        for result in ("json", "overlay", "seg", "sr"):
            answer = httpx.post(
                f"http://127.0.0.1:{port}/v1/segment",
                params={"output": result},
                content=cbis_files[0].read_bytes(),
                timeout=120,
            )
            assert answer.status_code == 200, answer.text
