"""The ends of things: a caller that leaves, a service that is told to."""

import json
import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from service.system.server_process import serve_command, server_process, wait_until_ready
from tests import http_client
from tests.e2e.conftest import Service, serving
from tests.identity_net import write_identity_net
from tests.ports import free_port

pytestmark = pytest.mark.e2e

DICOM = {"Content-Type": "application/dicom"}


def post(service: Service, body: bytes) -> httpx.Response:
    # To close after the answer is to reset a caller that still sends.
    headers = DICOM | {"Connection": "close"}
    return http_client.post(f"{service.url}/v1/segment", content=body, headers=headers, timeout=120)


def metric(service: Service, name: str) -> float:
    text = http_client.get(f"{service.url}/metrics", timeout=30).text
    return next(
        (float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)), 0.0
    )


def until(holds: bool, service: Service, name: str, value: float) -> None:
    while (metric(service, name) == value) is not holds:
        assert service.process.poll() is None
        time.sleep(0.02)


def all_but_the_last_byte(service: Service, body: bytes) -> socket.socket:
    url = httpx.URL(service.url)
    head = (
        f"POST /v1/segment HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/dicom\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((url.host, url.port))
    connection.sendall(head.encode() + body[:-1])
    return connection


def test_callers_that_leave_are_not_worked_for(tmp_path: Path, cbis_files: list[Path]) -> None:
    body = cbis_files[0].read_bytes()
    with serving(tmp_path, runners="1", readers="1") as service:
        connections = [all_but_the_last_byte(service, body) for _ in range(8)]
        # All end and hang up while the service sleeps, so no machine is fast enough to answer one.
        service.process.send_signal(signal.SIGSTOP)
        for connection in connections:
            connection.sendall(body[-1:])
            connection.close()
        service.process.send_signal(signal.SIGCONT)
        until(False, service, 'mammoseg_requests_total{route="/v1/segment",status="499"}', 0)
        until(True, service, "mammoseg_in_flight", 0)
        # Whoever was first may be in the reader before the service sees that it has left.
        assert metric(service, 'mammoseg_requests_total{route="/v1/segment",status="499"}') == 8
        assert metric(service, 'mammoseg_stage_seconds_count{stage="net"}') <= 1
        assert metric(service, "mammoseg_tiles_waiting") == 0
        assert post(service, body).status_code == 200


def test_a_service_that_is_reloaded_while_it_starts_goes_on_starting(tmp_path: Path) -> None:
    port = free_port()
    model = write_identity_net(tmp_path / "net.onnx")
    environment = {"MAMMOSEG_DEVICE": "cpu", "MAMMOSEG_MODEL": str(model)}
    with server_process(serve_command(port), environment) as process:
        # As systemd sees it: the unit is active, and may be reloaded, as soon as it is executed.
        while not catches_hangups(process.pid):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGHUP)
        # Long before there is a model.
        assert "onnxruntime" not in Path(f"/proc/{process.pid}/maps").read_text()
        wait_until_ready(port, lambda: process.poll() is None)


def catches_hangups(pid: int) -> bool:
    """Tell whether a process has its own way with SIGHUP (proc(5), SigCgt)."""
    caught = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[0]
    return bool(int(caught, 16) >> signal.SIGHUP - 1 & 1)


def test_sigterm_ends_readiness_first_and_loses_nothing(
    tmp_path: Path, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()
    statuses: list[int] = []
    with serving(tmp_path, runners="1", lame_duck_s="4") as service:
        callers = [
            threading.Thread(target=lambda: statuses.append(post(service, body).status_code))
            for _ in range(6)
        ]
        for caller in callers[:4]:
            caller.start()
        until(False, service, "mammoseg_in_flight", 0)
        service.process.send_signal(signal.SIGTERM)
        while http_client.get(f"{service.url}/health/ready", timeout=30).status_code == 200:
            time.sleep(0.01)
        # Not ready any more, but alive, and whoever has not seen it yet is served.
        assert http_client.get(f"{service.url}/health/live", timeout=30).status_code == 200
        for caller in callers[4:]:
            caller.start()
        for caller in callers:
            caller.join()
        assert service.process.wait(timeout=60) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            http_client.get(f"{service.url}/health/live", timeout=5)
    assert statuses == [200] * 6
    events = [json.loads(line)["event"] for line in service.log.read_text().splitlines()]
    assert "stopped" in events


def test_a_crowd_is_answered_or_told_when_to_come_again(
    tmp_path: Path, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()
    answers: list[httpx.Response] = []
    with serving(tmp_path, max_in_flight="2") as service:
        callers = [
            threading.Thread(target=lambda: answers.append(post(service, body))) for _ in range(10)
        ]
        for caller in callers:
            caller.start()
        while any(caller.is_alive() for caller in callers):
            assert http_client.get(f"{service.url}/health/ready", timeout=30).status_code == 200
            time.sleep(0.02)
    assert {answer.status_code for answer in answers} == {200, 503}
    assert len(answers) == 10
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) >= 1
