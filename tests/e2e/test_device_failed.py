"""A device that fails for good ends the process, to be started again."""

import json
import sys
from pathlib import Path

import cv2
import pytest

from service.exit_status import DEVICE_FAILED
from tests import http_client
from tests.e2e.conftest import running
from tests.identity_net import write_identity_net
from tests.ports import free_port
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.e2e

SCRIPT = """
import sys
from pathlib import Path
from service.app import create_app
from service.logs import configure_logs
from service.connections.server import serve
from service.settings import Settings
from tests.broken_device import broken_segmenter

model = Path(sys.argv[1])
settings = Settings(port=int(sys.argv[2]), lame_duck_s=0.5)
configure_logs("info", "json")
sys.exit(serve(create_app(settings, broken_segmenter(model)), settings))
"""


def test_a_device_that_failed_ends_the_process_by_the_usual_drain(tmp_path: Path) -> None:
    picture = cv2.imencode(".png", breast_phantom())[1].tobytes()
    port, log = free_port(), tmp_path / "service.log"
    model = write_identity_net(tmp_path / "net.onnx")
    # `-c` puts the folder that the tests run in on the path.
    with running([sys.executable, "-c", SCRIPT, str(model), str(port)], port, log) as process:
        url, headers = f"http://127.0.0.1:{port}/v1/segment", {"Content-Type": "image/png"}
        answer = http_client.post(url, content=picture, headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (503, "device-failed")
        assert process.wait(timeout=60) == DEVICE_FAILED
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert {"device-fault", "stopped"} <= set(events)
    assert "illegal" not in log.read_text()
