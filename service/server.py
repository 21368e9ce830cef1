"""The HTTP server: uvicorn, but on SIGTERM it first stops being ready, and only then listening.

Whoever routes requests, a load balancer or Kubernetes, learns of the end from readiness, and late:
until then it sends requests, and a closed port would lose them. When the device has failed, it
leaves by itself in the same way, for a supervisor to start it again.
"""

import asyncio
import resource
import signal
import time
from functools import partial
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from service.exit_status import DEVICE_FAILED, START_FAILED
from service.http_protocol import ConnectionLimits, HttpProtocol
from service.services import Services, services_of
from service.settings import Settings

log = structlog.get_logger("mammoseg")

OTHER_DESCRIPTORS = 256
"""Of readers, the inbox, the device."""

TICKS_A_SECOND = 10
"""Of uvicorn's `on_tick`."""


def serve(app: FastAPI, settings: Settings) -> int:
    """Serve until a signal, then answer what was accepted; give the exit status."""
    allow_descriptors(settings.max_connections)
    try:
        Server(config_of(app, settings), app, settings.lame_duck_s).run()
    except SystemExit:
        # Uvicorn could not start, and logged why; its own status is that of a failed device here.
        return START_FAILED
    return DEVICE_FAILED if device_failed(app) else 0


def allow_descriptors(connections: int) -> None:
    """Ask for two files a connection, itself and its body's memory, and some for the rest."""
    wanted = 2 * connections + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log.warning("few-descriptors", allowed=allowed, wanted=wanted)


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration."""
    limits = ConnectionLimits(
        settings.max_connections, settings.header_timeout_s, settings.send_timeout_s
    )
    # Three times as fast as h11 at receiving a mammogram.
    http: Any = partial(HttpProtocol, limits=limits)
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=http,
        timeout_keep_alive=settings.keep_alive_s,
        log_config=None,
        access_log=False,
        # Its handshake would log the URL, and nothing here speaks it.
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
    )


def device_failed(app: FastAPI) -> bool:
    """Tell whether the device is lost to this process."""
    opened = services_of(app)
    return opened is not None and opened.segmenter.net.failed


class Server(uvicorn.Server):
    """Leaves in two steps on SIGTERM, or once the device failed; looks after its connections.

    At once on Ctrl-C, or on a second signal.

    Parameters
    ----------
    config
        Uvicorn's.
    app
        Its services are asked for the device and told of the end.
    lame_duck_s
        Seconds between the two.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, lame_duck_s: float) -> None:
        super().__init__(config)
        self._app, self._lame_duck_s = app, lame_duck_s
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        opened = services_of(self._app)
        if opened is None or sig != signal.SIGTERM or self._leave_at is not None:
            super().handle_exit(sig, frame)
            return
        self._begin_to_leave(opened)
        # So that the process ends by the signal, as supervisors expect.
        self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to go, and each second at connections."""
        if counter % TICKS_A_SECOND == 0:
            self._look_at_connections()
        opened = services_of(self._app)
        if self._leave_at is None and opened is not None and opened.segmenter.net.failed:
            self._begin_to_leave(opened)
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def _begin_to_leave(self, opened: Services) -> None:
        """Be ready no more, and listen for a while."""
        opened.limiter.leaving = True
        self._leave_at = time.monotonic() + self._lame_duck_s

    def _look_at_connections(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.look(now)
