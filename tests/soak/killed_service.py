"""A service that is killed and started anew on the same inbox."""

import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Self

from service.server_process import free_port, wait_until_ready
from tests.identity_net import write_identity_net


class Service:
    """`mammoseg serve` on one inbox, started anew after each kill.

    Each is a process of its own, forked from one that has imported all it needs: so a start takes
    the time of opening the model, and not of Python, too.
    """

    def __init__(
        self, folder: Path, destination: str, name: str = "service", **more: object
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.inbox = folder / "inbox"
        self.log = folder / f"{name}.log"
        settings = {
            "model": write_identity_net(folder / "identity.onnx"),
            "destinations": destination,
            "inbox": self.inbox,
            "retry_first_s": 0.1,
            "retry_longest_s": 2.0,
            # A kill counts as an attempt of what was in work, and these kills are no image's fault.
            "inbox_attempts": 1000,
            "delivery_attempts": 1000,
            "port": self.port,
            **{"device": "cpu", "readers": 1, "runners": 1},
            **more,
        }
        self._environment = {f"MAMMOSEG_{name.upper()}": str(settings[name]) for name in settings}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["service.commands.serve"])
        self._process: ForkServerProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.is_alive():
            self.stop(signal.SIGKILL)

    def start(self) -> None:
        self._process = self._context.Process(
            target=_serve, args=(self._environment, str(self.log))
        )
        self._process.start()

    def wait_ready(self) -> None:
        assert self._process is not None
        try:
            wait_until_ready(self.port, self._process.is_alive, timeout_s=120)
        except TimeoutError:
            raise TimeoutError(self.log.read_text(errors="replace")[-2000:]) from None

    def stop(self, how: signal.Signals) -> None:
        self.signal(how)
        assert self._process is not None
        self._process.join()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None and self._process.pid is not None
        os.kill(self._process.pid, number)


def _serve(environment: dict[str, str], log: str) -> None:
    """Be `mammoseg serve`."""
    os.environ |= environment
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(sink, stream)
    from service.commands.serve import serve

    serve()
