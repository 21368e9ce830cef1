"""What the connection's own bounds come to in the service itself: bytes, memory, other callers."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests import http_client
from tests.e2e.conftest import Service, serving_by_command
from tests.identity_net import write_identity_net
from tests.waiting import HANG_S

pytestmark = pytest.mark.e2e

MIB = 2**20
SENT = 64 * MIB


def connect(service: Service) -> socket.socket:
    url = httpx.URL(service.url)
    return socket.create_connection((url.host, url.port or 80), timeout=2 * HANG_S)


def first_line(wire: socket.socket) -> str:
    """Read an answer's first line; empty where the connection ended before."""
    try:
        return wire.recv(2**16).decode("latin-1").split("\r\n")[0]
    except OSError:
        return ""


def test_the_recorded_requests_of_java_are_answered(service: Service, shared_data: Path) -> None:
    for file in sorted((shared_data / "reports" / "http-upgrade").glob("*.raw")):
        with connect(service) as wire:
            wire.sendall(file.read_bytes())
            assert first_line(wire) == "HTTP/1.1 200 OK", file.name


ENDLESS = {
    "header": (b"POST /v1/segment HTTP/1.1\r\nHost: h\r\n", b"A: " + b"b" * 997 + b"\r\n"),
    "value": (b"POST /v1/segment HTTP/1.1\r\nHost: h\r\nA: ", b"b" * 1000),
    "url": (b"GET /", b"a" * 1000),
    "trailer": (
        b"POST /v1/segment HTTP/1.1\r\nHost: h\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        b"A: " + b"b" * 997 + b"\r\n",
    ),
}


@pytest.mark.parametrize(("begin", "again"), ENDLESS.values(), ids=ENDLESS.keys())
def test_endless_headers_take_no_memory(service: Service, begin: bytes, again: bytes) -> None:
    process = psutil.Process(service.process.pid)
    before, piece = process.memory_info().rss, again * (MIB // len(again))
    grown = sent = 0
    with connect(service) as wire:
        wire.sendall(begin)
        try:
            while sent < SENT:
                wire.sendall(piece)
                sent += len(piece)
                grown = max(grown, process.memory_info().rss - before)
        except OSError:
            pass
        assert first_line(wire)[9:12] in {"431", "414", ""}
    assert grown < 16 * MIB
    assert http_client.get(f"{service.url}/health/ready", timeout=HANG_S).status_code == 200


@pytest.fixture(scope="module")
def patient_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Closes nobody that is slow, so that who is kept by them waits for an hour."""
    folder = tmp_path_factory.mktemp("patient")
    hour = {"header_timeout_s": "3600", "upload_timeout_s": "3600", "upload_bytes_s": "0"}
    model = write_identity_net(folder / "net.onnx")
    with serving_by_command(folder, model=str(model), **hour) as service:
        yield service


def test_silent_connections_shut_nobody_out(patient_service: Service) -> None:
    health = f"{patient_service.url}/health/ready"
    wires = []
    try:
        for _ in range(900):
            wires.append(connect(patient_service))
            wires[-1].sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(3):
            assert http_client.get(health, timeout=HANG_S).status_code == 200
    finally:
        for wire in wires:
            wire.close()


DICOM = "POST /v1/segment HTTP/1.1\r\nHost: h\r\nContent-Type: application/dicom\r\n"


def slow_senders(service: Service, count: int, declared: int, sent: int) -> list[socket.socket]:
    """Begin so many uploads, and leave them so."""
    wires = [connect(service) for _ in range(count)]
    for wire in wires:
        wire.sendall(f"{DICOM}Content-Length: {declared}\r\n\r\n".encode() + b"x" * sent)
    return wires


@pytest.mark.parametrize(
    ("count", "declared", "sent"),
    [(3, 128 * MIB, 1), (3, 128 * MIB, MIB), (32, 5_000_000, 1), (32, 5_000_000, 4_000_000)],
)
def test_slow_senders_keep_nobody_waiting(
    patient_service: Service, cbis_files: list[Path], count: int, declared: int, sent: int
) -> None:
    body = cbis_files[0].read_bytes()
    url = f"{patient_service.url}/v1/segment"
    wires = slow_senders(patient_service, count, declared, sent)
    try:
        time.sleep(0.5)
        for _ in range(2):
            assert http_client.post(url, content=body, timeout=HANG_S).status_code == 200
    finally:
        for wire in wires:
            wire.close()


def test_who_stops_sending_is_told_so_in_time(service: Service) -> None:
    started = time.monotonic()
    (wire,) = slow_senders(service, 1, MIB, 100)
    with wire:
        assert first_line(wire) == "HTTP/1.1 400 Bad Request"
    assert time.monotonic() - started > 9


@pytest.mark.parametrize("name", ["control", "padding", "preamble"])
def test_the_recorded_forms_are_read(service: Service, shared_data: Path, name: str) -> None:
    body = (shared_data / "reports" / "multipart" / f"{name}.form").read_bytes()
    headers = {"Content-Type": "multipart/form-data; boundary=BOUND"}
    for route in ("segment", "studies"):
        url = f"{service.url}/v1/{route}"
        assert http_client.post(url, content=body, headers=headers, timeout=30).status_code == 200
