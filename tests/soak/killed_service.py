"""A service that is killed and started anew on the same inbox."""

import signal
from pathlib import Path
from typing import Self

from service.system.server_process import wait_until_ready
from tests.forked_service import ForkedService
from tests.identity_net import write_identity_net
from tests.ports import free_port


class Service:
    """`mammoseg serve` on one inbox, started anew after each kill."""

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
        self._process: ForkedService | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL)

    def start(self) -> None:
        self._process = ForkedService(self._environment, self.log)

    def wait_ready(self) -> None:
        process = self._process
        assert process is not None
        try:
            wait_until_ready(self.port, lambda: process.poll() is None, timeout_s=120)
        except TimeoutError:
            raise TimeoutError(self.log.read_text(errors="replace")[-2000:]) from None

    def stop(self, how: signal.Signals) -> None:
        self.signal(how)
        assert self._process is not None
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
