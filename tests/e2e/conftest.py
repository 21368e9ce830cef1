import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.system.server_process import serve_command, server_process, wait_until_ready
from tests.dicom_files import dicom_file, phantom
from tests.forked_service import ForkedService
from tests.identity_net import write_identity_net
from tests.ports import free_port

Process = ForkedService | subprocess.Popen[bytes]


@dataclass(frozen=True)
class Service:
    """A real `mammoseg serve` process."""

    url: str
    process: Process
    log: Path


@contextmanager
def serving(folder: Path, port: int | None = None, **settings: str) -> Iterator[Service]:
    """Run the service on a loopback port, a free one unless given; `settings` are MAMMOSEG_*."""
    port = port or free_port()
    with _serving(folder, port, None, settings) as process:
        yield Service(f"http://127.0.0.1:{port}", process, folder / "service.log")


@contextmanager
def serving_tls(folder: Path, tls: ssl.SSLContext, **settings: str) -> Iterator[Service]:
    """Run the service where it speaks TLS; `tls` is what its clients do."""
    port = free_port()
    with _serving(folder, port, tls, settings) as process:
        yield Service(f"https://127.0.0.1:{port}", process, folder / "service.log")


@contextmanager
def _serving(
    folder: Path, port: int, tls: ssl.SSLContext | None, settings: Mapping[str, str]
) -> Iterator[ForkedService]:
    log = folder / "service.log"
    log.write_bytes(b"")
    environment = _environment(settings) | {"MAMMOSEG_PORT": str(port)}
    with ForkedService(environment, log) as service:
        _wait_ready(service, port, log, tls)
        yield service


@contextmanager
def serving_by_command(folder: Path, **settings: str) -> Iterator[Service]:
    """Run the service as its users start it, which takes two seconds of a processor more.

    For tests that look at its start, its end, or memory that it shares with nobody.
    """
    port, log = free_port(), folder / "service.log"
    with running(serve_command(port), port, log, _environment(settings)) as process:
        yield Service(f"http://127.0.0.1:{port}", process, log)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    given = {"device": "cpu", "log_level": "debug", "lame_duck_s": "0", **settings}
    return {f"MAMMOSEG_{name.upper()}": value for name, value in given.items()}


@contextmanager
def running(
    command: list[str],
    port: int,
    log: Path,
    environment: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command that serves on a port, once it is ready."""
    with log.open("wb") as sink, server_process(command, environment, sink) as process:
        _wait_ready(process, port, log, tls)
        yield process


def _wait_ready(process: Process, port: int, log: Path, tls: ssl.SSLContext | None) -> None:
    try:
        wait_until_ready(port, lambda: process.poll() is None, tls=tls)
    except TimeoutError:
        pytest.fail(f"the service did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The identity net, served by one reader and one runner: soon there, and soon done."""
    folder = tmp_path_factory.mktemp("service")
    model = write_identity_net(folder / "identity.onnx")
    with serving_by_command(folder, model=str(model), readers="1", runners="1") as service:
        yield service


@pytest.fixture(scope="session")
def bundled_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The bundled model, served."""
    with serving_by_command(tmp_path_factory.mktemp("bundled")) as service:
        yield service


@pytest.fixture(scope="session")
def mammogram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one, as a file."""
    file = tmp_path_factory.mktemp("file") / "m.dcm"
    file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    return file
