"""The HTTP server: uvicorn, but on SIGTERM it first stops being ready, and only then listening.

Whoever routes requests, a load balancer or Kubernetes, learns of the end from readiness, and late:
until then it sends requests, and a closed port would lose them.
"""

import signal
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.settings import Settings


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until a signal, then answer what was accepted."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # Three times as fast as h11 at receiving a mammogram.
        http="httptools",
        log_config=None,
        access_log=False,
        # Its handshake would log the URL, and nothing here speaks it.
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
    Server(config, app, settings.lame_duck_s).run()


class Server(uvicorn.Server):
    """Leaves in two steps on SIGTERM; at once on Ctrl-C, or on a second signal.

    Parameters
    ----------
    config
        Uvicorn's.
    app
        Its `state.intake` is told.
    lame_duck_s
        Seconds between the two.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, lame_duck_s: float) -> None:
        super().__init__(config)
        self._app, self._lame_duck_s = app, lame_duck_s
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        intake = getattr(self._app.state, "intake", None)
        if intake is None or sig != signal.SIGTERM or self._leave_at is not None:
            super().handle_exit(sig, frame)
            return
        intake.leaving = True
        self._leave_at = time.monotonic() + self._lame_duck_s
        # So that the process ends by the signal, as supervisors expect.
        self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to go."""
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)
