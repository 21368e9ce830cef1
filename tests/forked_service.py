"""`mammoseg serve` as a process of its own that need not import anything.

It is forked from one that has: two thirds of the processor time of a start are imports, and tests
start it some fifty times. Where the start itself is looked at, tests run the command.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from service.system.server_process import END_TIMEOUT_S

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["service.cli", "service.commands.serve", "service.app", "service.connections.server", __name__]
)


class ForkedService:
    """A running `mammoseg serve`; its methods are those of `subprocess.Popen`.

    Parameters
    ----------
    environment
        Added to that of this process; with the port to listen on.
    log
        File to which it adds what it prints.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._process = _CONTEXT.Process(
            target=_serve, args=({**os.environ, **environment}, str(log))
        )
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()
        try:
            self.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns its exit status."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("serve", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _serve(environment: dict[str, str], log: str) -> None:
    """Be `mammoseg serve`."""
    os.environ.clear()
    os.environ.update(environment)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(sink, stream)
    sys.argv[:] = ["mammoseg", "serve"]
    from service.cli import main

    main()
