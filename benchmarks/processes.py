"""Servers as processes of their own: started, watched, ended."""

import http.client
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import psutil

from service.system.server_process import READY, free_port, server_process, wait_until_ready


@dataclass(slots=True)
class Server:
    """A server that is ready, and what its whole process tree takes."""

    port: int
    process: psutil.Process
    ready_after_s: float
    _seen: dict[int, float] = field(default_factory=dict)

    def tree(self) -> list[psutil.Process]:
        """Return the process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the tree's user and system time since the start; of those that ended, the last."""
        for one in self.tree():
            try:
                times = one.cpu_times()
            except psutil.Error:
                continue
            self._seen[one.pid] = times.user + times.system
        return sum(self._seen.values())

    def stop(self) -> None:
        """Stop the tree, so that it takes no time of others'."""
        self._each(lambda one: one.suspend())

    def go_on(self) -> None:
        """Let a stopped tree go on."""
        self._each(lambda one: one.resume())

    def _each(self, act: Callable[[psutil.Process], None]) -> None:
        for one in self.tree():
            with suppress(psutil.NoSuchProcess):
                act(one)

    def resident(self) -> int:
        """Return the tree's resident memory in bytes, what is shared counted once a process."""
        total = 0
        for one in self.tree():
            try:
                total += one.memory_info().rss
            except psutil.Error:
                continue
        return total

    def metric(self, name: str) -> float:
        """Return a value of /metrics; 0 when it is not there."""
        for line in get(self.port, "/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return 0.0


def get(port: int, path: str) -> str:
    """Ask the server for a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise ConnectionError(f"{path}: {answer.status}")
        return text
    finally:
        connection.close()


@contextmanager
def running(command: Sequence[str], ready: str, **environment: str) -> Iterator[Server]:
    """Run a server until the context ends; `{port}` in its command is a free one.

    Parameters
    ----------
    ready
        Path that answers 200 once it serves.
    environment
        Added to ours.

    Raises
    ------
    RuntimeError
        It does not come up; the message ends with what it printed.
    """
    port, started = free_port(), time.monotonic()
    parts = [part.format(port=port) for part in command]
    with (
        tempfile.TemporaryFile() as log,
        _process_tree([sys.executable, *parts], environment, log) as process,
    ):
        try:
            wait_until_ready(port, lambda: process.poll() is None, path=ready, timeout_s=180)
        except TimeoutError:
            log.seek(0)
            said = log.read().decode()[-2000:]
            raise RuntimeError(f"{parts[:3]} did not start: {said}") from None
        yield Server(port, psutil.Process(process.pid), time.monotonic() - started)


@contextmanager
def _process_tree(
    command: Sequence[str], environment: Mapping[str, str], log: BinaryIO
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command, and end all below it, too: some servers leave their workers behind."""
    children: list[psutil.Process] = []
    try:
        with server_process(command, environment, log) as process:
            try:
                yield process
            finally:
                with suppress(psutil.NoSuchProcess):
                    children = psutil.Process(process.pid).children(recursive=True)
    finally:
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()


@contextmanager
def ours(model: Path, **settings: str) -> Iterator[Server]:
    """Run `mammoseg serve`; `settings` are MAMMOSEG_* without the prefix."""
    given = {"device": "cpu", "model": str(model), "log_level": "warning", "lame_duck_s": "0"}
    environment = {f"MAMMOSEG_{name.upper()}": value for name, value in (given | settings).items()}
    command = ["-m", "service", "serve", "--port", "{port}"]
    with running(command, READY, **environment) as server:
        yield server


class Watch(threading.Thread):
    """Looks at a server's resident memory, twenty times a second, while in its context."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server, self._ended = server, threading.Event()
        self.peak = 0

    def run(self) -> None:
        """Look until the context ends."""
        while not self._ended.wait(0.05):
            self.peak = max(self.peak, self._server.resident())

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
