"""Servers as processes of their own: started, waited for until they are ready, ended."""

import http.client
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

MAMMOSEG = (sys.executable, "-m", __name__.partition(".system.")[0])
"""The command `mammoseg` of this very package: it has another name where it is installed."""

LOOPBACK = "127.0.0.1"
READY = "/health/ready"

PROBE_TIMEOUT_S = 5.0
PROBE_PERIOD_S = 0.02
END_TIMEOUT_S = 30.0


def free_port() -> int:
    """Return a TCP port that is free on the loopback now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def serve_command(port: int) -> list[str]:
    """Return the command that runs this service on a port of the loopback."""
    return [*MAMMOSEG, "serve", "--port", str(port)]


@contextmanager
def server_process(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    output: BinaryIO | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command until the context ends; then it has `END_TIMEOUT_S` before it is killed.

    Parameters
    ----------
    environment
        Added to that of this process.
    output
        Takes what the command prints; by default, the terminal does.
    """
    process = subprocess.Popen(
        command, env=os.environ | (environment or {}), stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(
    port: int,
    is_alive: Callable[[], bool],
    *,
    path: str = READY,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """Wait until a server on the loopback answers 200 to a GET of a path; return that answer.

    Parameters
    ----------
    is_alive
        Whether the server's process still runs.
    tls
        Spoken with it, where it is.

    Raises
    ------
    TimeoutError
        The process ended, or was not ready in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and is_alive():
        try:
            status, body = _get(port, path, headers or {}, tls)
        except (OSError, http.client.HTTPException):
            status, body = 0, b""
        if status == 200:
            return body
        time.sleep(PROBE_PERIOD_S)
    raise TimeoutError(f"no server became ready on port {port}")


def _get(
    port: int, path: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_TIMEOUT_S)
    if tls is not None:
        connection = http.client.HTTPSConnection(
            LOOPBACK, port, timeout=PROBE_TIMEOUT_S, context=tls
        )
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
