"""The official runtime reports its sessions to its maker by default; ours must not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.identity_net import write_identity_net

pytestmark = pytest.mark.integration

CODE = (
    "import sys, pathlib; from service.inference.session import Session; "
    "Session.open(pathlib.Path(sys.argv[1]))"
)


def test_opening_a_model_reports_nothing(tmp_path: Path) -> None:
    """Telemetry keeps a device id and a queue of events under the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    model = write_identity_net(tmp_path / "net.onnx")
    # The runtime keeps quiet by itself where these are set, as they are in CI.
    quiet = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment |= {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", CODE, str(model)], env=environment, check=True)
    assert [path for path in home.rglob("*") if path.is_file()] == []
