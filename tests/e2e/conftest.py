import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import http_client
from tests.orthanc import free_port


@dataclass(frozen=True)
class Service:
    """A real `mammoseg serve` process."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def serving(folder: Path, port: int | None = None, **settings: str) -> Iterator[Service]:
    """Run the service on a loopback port, a free one unless given; `settings` are MAMMOSEG_*."""
    port = port or free_port()
    log = folder / "service.log"
    environment = os.environ | {"MAMMOSEG_DEVICE": "cpu", "MAMMOSEG_LOG_LEVEL": "debug"}
    environment |= {"MAMMOSEG_LAME_DUCK_S": "0"}
    environment |= {f"MAMMOSEG_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url, process, log)
        yield Service(url, process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            http_client.get(f"{url}/health/ready", timeout=2).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"the service did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The bundled model, served."""
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service
