"""A device that fails for good: told by code, not ready, and the process ends to be restarted."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import httpx
import pytest

from service.server import DEVICE_FAILED
from tests.e2e.conftest import wait_ready
from tests.identity_net import write_identity_net
from tests.orthanc import free_port
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.e2e

SCRIPT = """
import sys
from pathlib import Path
from service.app import create_app
from service.imaging.reader import ReadLimits
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from service.logs import configure_logs
from service.reading import InProcess
from service.segmenter import Segmenter
from service.server import serve
from service.settings import Settings

def fail(tiles):
    raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")

settings = Settings(port=int(sys.argv[2]), lame_duck_s=1.5)
configure_logs("info", "json")
session = Session.open(Path(sys.argv[1]))
session.device = "cuda"
scheduler = TileScheduler(session)
session.run = fail
app = create_app(settings, Segmenter(scheduler, InProcess(ReadLimits())))
sys.exit(serve(app, settings))
"""


def test_a_device_that_failed_is_told_by_code_and_ends_the_process(
    tmp_path: Path,
) -> None:
    picture = cv2.imencode(".png", breast_phantom())[1].tobytes()
    port, log = free_port(), tmp_path / "service.log"
    url = f"http://127.0.0.1:{port}"
    model = write_identity_net(tmp_path / "net.onnx")
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(model), str(port)], stdout=sink, stderr=sink
        )
    try:
        wait_ready(url, process, log)
        answers = [
            httpx.post(
                f"{url}/v1/segment",
                content=picture,
                headers={"Content-Type": "image/png"},
                timeout=60,
            )
            for _ in range(2)
        ]
        ready = httpx.get(f"{url}/health/ready", timeout=30)
        assert [(one.status_code, one.json()["code"]) for one in answers] == 2 * [
            (503, "device-failed")
        ]
        assert all(int(one.headers["Retry-After"]) >= 1 for one in answers)
        assert (ready.status_code, ready.json()["status"]) == (503, "device-failed")
        assert process.wait(timeout=60) == DEVICE_FAILED
    finally:
        process.kill()
        process.wait()
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert {"device-fault", "stopped"} <= set(events)
    assert "illegal" not in log.read_text() + "".join(one.text for one in answers)
