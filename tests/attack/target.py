"""The service that is attacked, with an inbox and the destination of its results."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Self

import httpx
import psutil

from service.access.keys import ApiKey, changing_keys, digest_of
from service.access.scopes import Scope
from service.system.server_process import wait_until_ready
from tests import http_client
from tests.attack.memory_peak import MemoryPeak
from tests.dicom_files import dicom_file
from tests.identity_net import write_identity_net
from tests.ports import free_port
from tests.stow_server import Reply, StowServer, stored, stow_server
from tests.waiting import comes_true

MEMORY_MIB = 1024
"""All that the service may take; near the least with bodies of 128 MiB."""

DESCRIPTORS = 1024
"""Of the service: what most systems give a process."""

TIMEOUT_S = 40.0
START_S = 180.0
"""A busy machine's; else some three."""

KEY = "mammoseg_attack"
"""Of the good requests, where the settings have a file of keys."""

STUDY = "1.2.826.0.1.3680043.10.1.7"


class Target:
    """The service under attack; a context in which it runs.

    Parameters
    ----------
    folder
        Where everything lies.
    settings
        MAMMOSEG_* beside those here; `destinations` of "" leaves the inbox out, and `keys_file` is
        a name in the folder, of a file that is made.

    Attributes
    ----------
    url
        Of the service that runs now.
    lines
        Connections that an attack leaves open.
    destination
        Gets the inbox's results.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder, self.inbox = folder, folder / "inbox"
        self.lines: list[socket.socket] = []
        self.url = ""
        self.peak = MemoryPeak()
        self._stack = contextlib.ExitStack()
        self._wanted = settings
        self.destination = StowServer()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.destination = self._stack.enter_context(stow_server())
        self._stack.callback(self.close_lines)
        self._stack.enter_context(self.peak)
        own = {
            "device": "cpu",
            "model": str(write_identity_net(self.folder / "identity.onnx")),
            "memory_mib": str(MEMORY_MIB),
            "readers": "1",
            "runners": "1",
            "lame_duck_s": "0",
            "drain_s": "1",
            "reader_deadline_s": "5",
            "inbox": str(self.inbox),
            "destinations": self.destination.url,
            "retry_first_s": "0.2",
            "retry_longest_s": "1",
        }
        if "keys_file" in self._wanted:
            file = self.folder / self._wanted["keys_file"]
            with changing_keys(file) as keys:
                scopes = frozenset({Scope.ADMIN})
                keys[:] = [ApiKey("good", digest_of(KEY), scopes, date(2026, 11, 29))]
            self._wanted = {**self._wanted, "keys_file": str(file)}
        kept = {name: value for name, value in (own | dict(self._wanted)).items() if value}
        self.memory_mib = int(kept["memory_mib"])
        self.environment = os.environ | {f"MAMMOSEG_{n.upper()}": v for n, v in kept.items()}
        try:
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, module: str = "service") -> None:
        """Start the service, also once more after `kill`."""
        port = free_port()
        process = self.process = self.run(module, "serve", "--port", str(port))
        try:
            wait_until_ready(port, lambda: process.poll() is None, timeout_s=START_S)
        except TimeoutError:
            raise ConnectionError("the service did not start") from None
        self.url = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        """End the service as a power cut does."""
        assert self.process is not None
        self.url = ""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()
        self.process.wait()

    def run(self, module: str, command: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Run `python -m MODULE COMMAND` until the end, under `DESCRIPTORS`; memory is watched."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
        try:
            with (self.folder / f"{command}.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", module, command, *arguments],
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.peak.add(process.pid)
        self._stack.callback(end, process)
        return process

    @property
    def readers(self) -> list[psutil.Process]:
        """The service's child processes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def connect(self) -> socket.socket:
        """Open a connection that stays open after the attack."""
        url = httpx.URL(self.url)
        line = socket.create_connection((url.host, url.port or 80), timeout=5)
        self.lines.append(line)
        return line

    def close_lines(self) -> None:
        """Close what an attack left open."""
        while self.lines:
            self.lines.pop().close()

    def store(self, *files: bytes, timeout_s: float = TIMEOUT_S) -> int:
        """Send files to the inbox by STOW-RS, and return the status; 0 for no answer."""
        body, kind = related(files)
        return self.post("/dicom-web/studies", body, kind, timeout_s)

    def post(self, path: str, body: bytes, kind: str, timeout_s: float = TIMEOUT_S) -> int:
        """Post, and return the status; 0 for no answer."""
        try:
            headers = {"Content-Type": kind, "Authorization": f"Bearer {KEY}"}
            url = self.url + path
            return http_client.post(
                url, content=body, headers=headers, timeout=timeout_s
            ).status_code
        except httpx.HTTPError:
            return 0

    @staticmethod
    def accepted(uid: str, times: int) -> Reply:
        """Answer as a destination that stores what it gets."""
        return stored(uid)

    def missing_results(self, images: int, within_s: float = 30.0) -> tuple[str, ...]:
        """Wait for a SEG and an SR of so many images; return the fault where they do not come."""
        within = comes_true(lambda: len(self.destination.received) >= 2 * images, within_s)
        came = len(self.destination.received)
        return () if within else (f"{came} of {2 * images} results delivered",)


def related(files: tuple[bytes, ...]) -> tuple[bytes, str]:
    """Return a multipart/related body (RFC 2387) of DICOM files, and its media type."""
    mark = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"\r\n".join(mark + file for file in files) + b"\r\n--b--\r\n"
    return body, 'multipart/related; type="application/dicom"; boundary=b'


def mammogram(number: int) -> bytes:
    """Return a small mammogram with all its UIDs; the number makes it another instance."""
    return dicom_file(
        SOPInstanceUID=f"{STUDY}.1.{number}",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        PatientID="attack",
        ImagerPixelSpacing=[1, 1],
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children, also those that an attack has stopped."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
