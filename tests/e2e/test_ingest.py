"""Several processes take requests, one owns the device: to a caller it is one service."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import Service, serving
from tests.e2e.test_leaving import all_but_the_last_byte, metric, post, until

pytestmark = pytest.mark.e2e

ANSWERED = 'mammoseg_requests_total{route="/v1/segment",status="200"}'


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path, ingest="2", lame_duck_s="1") as service:
        wait_for_children(service, 2)
        yield service


def children(service: Service) -> list[psutil.Process]:
    """Give the processes that take requests."""
    own = psutil.Process(service.process.pid).children()
    return [child for child in own if "service.ingest.child" in child.cmdline()]


def wait_for_children(service: Service, count: int) -> None:
    """Wait until so many take callers, who come to each in turn."""
    while True:
        assert service.process.poll() is None
        connections = [_connected(service) for _ in range(count)]
        holders = [child for child in children(service) if _holds_a_caller(child)]
        for connection in connections:
            connection.close()
        if len(holders) == count:
            return
        time.sleep(0.05)


def _connected(service: Service) -> socket.socket:
    url = httpx.URL(service.url)
    connection = socket.create_connection((url.host, url.port or 0))
    # Answered, so that it has been handed over.
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    return connection


def _holds_a_caller(child: psutil.Process) -> bool:
    return any(one.status == psutil.CONN_ESTABLISHED for one in child.net_connections("tcp"))


def test_the_answer_is_that_of_one_process(
    service: Service, several: Service, cbis_files: list[Path]
) -> None:
    for file in cbis_files[:3]:
        body = file.read_bytes()
        one, other = post(service, body).json(), post(several, body).json()
        for answer in (one, other):
            del answer["timing_ms"]
        assert one == other


def test_callers_come_to_each_in_turn(several: Service) -> None:
    connections = [_connected(several) for _ in range(20)]
    held = [
        sum(one.status == psutil.CONN_ESTABLISHED for one in child.net_connections("tcp"))
        for child in children(several)
    ]
    assert held == [10, 10]
    for connection in connections:
        connection.close()


def test_a_signal_to_one_of_them_changes_nothing(several: Service) -> None:
    told = children(several)
    for child in told:
        child.terminate()
        child.send_signal(signal.SIGINT)
    gone, _ = psutil.wait_procs(told, timeout=2)
    assert not gone
    assert httpx.get(f"{several.url}/health/ready", timeout=30).status_code == 200


def test_only_the_owner_has_loaded_the_runtime(several: Service) -> None:
    for child in children(several):
        assert "onnxruntime" not in Path(f"/proc/{child.pid}/maps").read_text()
    assert "onnxruntime" in Path(f"/proc/{several.process.pid}/maps").read_text()


def test_metrics_count_what_all_did(several: Service, cbis_files: list[Path]) -> None:
    body = cbis_files[0].read_bytes()
    for _ in range(8):
        assert post(several, body).status_code == 200
    for _ in range(8):
        assert metric(several, ANSWERED) == 8, "whoever is asked"
    assert metric(several, "mammoseg_net_cpu_seconds") > 0
    assert metric(several, "mammoseg_in_flight") == 0


def test_a_process_that_dies_is_replaced_and_what_it_counted_stays(
    several: Service, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()
    for _ in range(4):
        assert post(several, body).status_code == 200
    for lost in children(several):
        os.kill(lost.pid, signal.SIGKILL)
        psutil.wait_procs([lost])
        wait_for_children(several, 2)
        assert lost.pid not in {child.pid for child in children(several)}
    assert post(several, body).status_code == 200
    assert metric(several, ANSWERED) == 5


def test_nobody_outlives_the_owner(tmp_path: Path, cbis_files: list[Path]) -> None:
    with serving(tmp_path, ingest="2") as service:
        wait_for_children(service, 2)
        below = psutil.Process(service.process.pid).children(recursive=True)
        assert len(below) >= 4
        service.process.kill()
        _, alive = psutil.wait_procs(below, timeout=60)
        assert not alive


def test_callers_that_leave_are_not_worked_for(several: Service, cbis_files: list[Path]) -> None:
    body = cbis_files[0].read_bytes()
    connections = [all_but_the_last_byte(several, body) for _ in range(8)]
    asleep = children(several)
    for child in asleep:
        child.suspend()
    for connection in connections:
        connection.sendall(body[-1:])
        connection.close()
    for child in asleep:
        child.resume()
    until(True, several, 'mammoseg_requests_total{route="/v1/segment",status="499"}', 8)
    assert metric(several, 'mammoseg_stage_seconds_count{stage="net"}') <= 2
    assert post(several, body).status_code == 200


@pytest.mark.parametrize("everybody", [False, True])
def test_sigterm_loses_nothing(several: Service, cbis_files: list[Path], everybody: bool) -> None:
    body = cbis_files[0].read_bytes()
    statuses: list[int] = []
    callers = [
        threading.Thread(target=lambda: statuses.append(post(several, body).status_code))
        for _ in range(6)
    ]
    for caller in callers[:4]:
        caller.start()
    until(False, several, "mammoseg_in_flight", 0)
    below = psutil.Process(several.process.pid).children(recursive=True)
    # A stop of the unit reaches every process.
    for process in [*(below if everybody else []), psutil.Process(several.process.pid)]:
        process.send_signal(signal.SIGTERM)
    while httpx.get(f"{several.url}/health/ready", timeout=30).status_code == 200:
        time.sleep(0.01)
    for caller in callers[4:]:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [200] * 6
    assert several.process.wait(timeout=60) == -signal.SIGTERM
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{several.url}/health/live", timeout=5)


def test_ctrl_c_ends_all_and_a_second_one_at_once(several: Service) -> None:
    below = psutil.Process(several.process.pid).children(recursive=True)
    several.process.send_signal(signal.SIGINT)
    several.process.send_signal(signal.SIGINT)
    several.process.wait(timeout=60)
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive
