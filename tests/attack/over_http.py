"""Attacks on the HTTP port, bounded in time: `python -m tests.attack.over_http`.

Starts the service with a small model under `ulimit -n 1024`, attacks it, one attack after another,
and prints for each attack
the connections and bytes that it took, the growth of the service's resident memory in MiB, the
longest answer of /health/live, and how long an honest upload took, in seconds; "no" is no answer
in 40 s.
"""

import contextlib
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service, serving
from tests.e2e.test_memory import Watch
from tests.identity_net import write_identity_net

MIB = 2**20
SENT = 64 * MIB
MAX_ANSWER_S = 20.0
"""Of sending."""
TIMEOUT_S = 40.0
POST = b"POST /v1/segment HTTP/1.1\r\nHost: h\r\nContent-Type: application/dicom\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"

Attack = Callable[[Service, list[socket.socket]], int]
"""Opens connections, and returns how many bytes it sent."""


def endless(begin: bytes, again: bytes) -> Attack:
    """Send so much more of a header."""
    piece = again * (MIB // len(again))

    def attack(service: Service, wires: list[socket.socket]) -> int:
        wires.append(connect(service))
        sent, until = len(begin), time.monotonic() + MAX_ANSWER_S
        with contextlib.suppress(OSError):
            wires[-1].sendall(begin)
            while sent < SENT and time.monotonic() < until:
                wires[-1].sendall(piece)
                sent += len(piece)
        return sent

    return attack


def many(count: int, request: bytes) -> Attack:
    """Send the same on so many connections, and leave them."""

    def attack(service: Service, wires: list[socket.socket]) -> int:
        for _ in range(count):
            wires.append(connect(service))
            wires[-1].sendall(request)
        return count * len(request)

    return attack


def declared(count: int, length: int, sent: int) -> Attack:
    """Declare so many bytes, and send so many."""
    return many(count, POST + f"Content-Length: {length}\r\n\r\n".encode() + b"x" * sent)


ATTACKS: dict[str, Attack] = {
    "endless header": endless(POST, b"A: " + b"b" * 997 + b"\r\n"),
    "endless value": endless(POST + b"A: ", b"b" * 1000),
    "endless URL": endless(b"GET /", b"a" * 1000),
    "endless trailer": endless(CHUNKED, b"A: " + b"b" * 997 + b"\r\n"),
    "silent": many(1010, b""),
    "half a header": many(1010, b"GET / HTTP/1.1\r\nHost: h\r\n"),
    "5,000 requests a connection": many(20, b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n" * 5000),
    "128 MiB declared, a byte sent": declared(3, 128 * MIB, 1),
    "128 MiB declared, 1 MiB sent": declared(3, 128 * MIB, MIB),
    "5 MB declared, a byte sent": declared(32, 5_000_000, 1),
    "5 MB declared, 4 MB sent": declared(32, 5_000_000, 4_000_000),
}


def connect(service: Service) -> socket.socket:
    url = httpx.URL(service.url)
    return socket.create_connection((url.host, url.port or 80), timeout=5)


@contextlib.contextmanager
def health(service: Service) -> Iterator[list[float]]:
    """Ask for health again and again, and keep how long each answer took, in seconds."""
    took: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            started = time.monotonic()
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{service.url}/health/live", timeout=TIMEOUT_S)
            took.append(time.monotonic() - started)
            ended.wait(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        ended.set()
        asking.join()


def measure(service: Service, attack: Attack, honest: bytes) -> tuple[int, int, float, float, str]:
    """Attack, and return connections, bytes, MiB, seconds of health, and of an upload."""
    watch = Watch(service.process.pid)
    watch.start()
    time.sleep(0.2)
    before, wires, sent = watch.peak, list[socket.socket](), 0
    with health(service) as took:
        with contextlib.suppress(OSError):
            sent = attack(service, wires)
        started = time.monotonic()
        answer = "no"
        with contextlib.suppress(httpx.HTTPError):
            status = httpx.post(
                f"{service.url}/v1/segment", content=honest, timeout=TIMEOUT_S
            ).status_code
            seconds = f"{time.monotonic() - started:.1f}"
            answer = seconds if status == 200 else f"{status} after {seconds}"
        for wire in wires:
            wire.close()
    watch.ended = True
    watch.join()
    return len(wires), sent, (watch.peak - before) / MIB, max(took), answer


def main(names: list[str]) -> None:
    """Print a row for each attack, or for those that are named."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    out = sys.stdout.write
    out("| attack | connections | bytes | MiB | health s | upload s |\n|---|---|---|---|---|---|\n")
    honest = dicom_file(phantom(12), ImagerPixelSpacing=[1, 1])
    with tempfile.TemporaryDirectory() as folder:
        model = write_identity_net(Path(folder) / "identity.onnx")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        with serving(Path(folder), model=str(model), readers="1", runners="1") as service:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
            for name in names or ATTACKS:
                row = measure(service, ATTACKS[name], honest)
                count, sent, mib, slowest, answer = row
                out(f"| {name} | {count} | {sent:,} | {mib:.0f} | {slowest:.2f} | {answer} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
