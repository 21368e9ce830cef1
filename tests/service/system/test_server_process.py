import signal
import sys
import time
from pathlib import Path

import pytest

from service.system import server_process as module
from service.system.server_process import server_process, wait_until_ready
from tests.ports import free_port

pytestmark = pytest.mark.integration

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

answers = iter([503, 503])

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(next(answers, 200))
        self.end_headers()
        self.wfile.write(b"ready")

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def test_a_server_is_waited_for_until_it_answers_200_and_ended_after() -> None:
    port = free_port()
    with server_process([sys.executable, "-c", SERVER, str(port)]) as process:
        assert wait_until_ready(port, lambda: process.poll() is None) == b"ready"
    assert process.returncode == -signal.SIGTERM


def test_a_server_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no'); raise SystemExit(3)"]
    with (tmp_path / "log").open("wb") as log, server_process(command, output=log) as process:
        with pytest.raises(TimeoutError):
            wait_until_ready(free_port(), lambda: process.poll() is None)
        assert process.returncode == 3
    assert (tmp_path / "log").read_text() == "no\n"


def test_a_server_that_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "END_TIMEOUT_S", 0.1)
    path = tmp_path / "log"
    command = [sys.executable, "-c", DEAF]
    with path.open("wb") as log, server_process(command, output=log) as process:
        while not path.read_text():
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL
