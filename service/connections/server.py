"""The HTTP server: uvicorn, but on SIGTERM it first stops being ready, and only then listening.

Whoever routes requests, a load balancer or Kubernetes, learns of the end from readiness, and late:
until then it sends requests, and a closed port would lose them. When the device has failed, it
leaves by itself in the same way, for a supervisor to start it again.
"""

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from service.audit.events import node_refused
from service.audit.participants import http_caller
from service.connections.http_protocol import HttpProtocol
from service.connections.limits import ConnectionLimits
from service.connections.refusals import ConnectionRefusals
from service.connections.tls_protocol import Handshakes, TlsDoor
from service.exit_status import DEVICE_FAILED, START_FAILED, TRY_AGAIN
from service.services import Services, services_of
from service.settings import Settings
from service.startup.parts import open_tls
from service.system.hangups import Hangups, hear_hangups
from service.system.heap import give_back
from service.system.listening import EVERY, closing_all, sockets_on
from service.system.unhindered_log import finish_logs

log = structlog.get_logger("mammoseg")

OTHER_DESCRIPTORS = 256
"""Of readers, the inbox, the device."""

HANDSHAKE_SHARE = 4
"""Of as many connections as may be open, one in so many may be in its TLS handshake beside them."""

TICKS_A_SECOND = 10
"""Of uvicorn's `on_tick`."""

GIVE_BACK_S = 60
"""Between two times that memory which is free goes back to the system, seconds."""


def serve(app: FastAPI, settings: Settings) -> int:
    """Serve until a signal, then answer what was accepted; give the exit status.

    Raises
    ------
    StartupError
        The files of TLS cannot be used, or the address cannot be had any more.
    """
    connections = allow_descriptors(settings.max_connections)
    settings = settings.model_copy(update={"max_connections": connections})
    handshakes = handshakes_of(settings)
    if handshakes is not None:
        handshakes.on_wrong_certificate = partial(_tell_of_wrong_certificate, app)
    try:
        server = Server(config_of(app, settings, handshakes), app, settings.lame_duck_s, handshakes)
        # Of `::` uvicorn would take IPv6 alone, and of no address both, each at its own free port.
        sockets = sockets_on(EVERY, settings.port) if settings.host == EVERY else None
        if sockets:
            log.info("listening", host=EVERY, port=sockets[0].getsockname()[1])
        with closing_all(sockets or []), server.hearing_hangups():
            server.run(sockets)
    except SystemExit:
        # Uvicorn could not start, and logged why; its own status is that of a failed device here.
        # Where the application itself had started, the port was lost to another meanwhile.
        return START_FAILED if server.lifespan.should_exit else TRY_AGAIN
    return DEVICE_FAILED if device_failed(app) else 0


def allow_descriptors(connections: int) -> int:
    """Ask for two files a connection, itself and its body's memory, and some for the rest.

    Returns
    -------
    int
        How many connections may be open: fewer than asked for where the system allows fewer files.
        Else it would be the system that refuses one more, whoever it is, and not the bound.
    """
    wanted = 2 * connections + connections // HANDSHAKE_SHARE + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        left = allowed - min(OTHER_DESCRIPTORS, allowed // 2)
        connections = max(1, left * HANDSHAKE_SHARE // (2 * HANDSHAKE_SHARE + 1))
        log.warning("few-descriptors", allowed=allowed, wanted=wanted, connections=connections)
    return connections


def handshakes_of(settings: Settings) -> Handshakes | None:
    """Return where TLS handshakes are bounded; None where TLS is not spoken.

    Raises
    ------
    StartupError
        Its files cannot be used.
    """
    contexts = open_tls(settings)
    if contexts is None:
        return None
    most = max(1, settings.max_connections // HANDSHAKE_SHARE)
    return Handshakes(contexts, most, settings.tls_handshake_timeout_s)


def config_of(
    app: FastAPI, settings: Settings, handshakes: Handshakes | None = None
) -> uvicorn.Config:
    """Return uvicorn's configuration."""
    limits = ConnectionLimits(
        settings.max_connections, settings.header_timeout_s, settings.send_timeout_s
    )
    # Three times as fast as h11 at receiving a mammogram.
    refusals = ConnectionRefusals(partial(_count_problem, app))
    http: Any = partial(HttpProtocol, limits=limits, refusals=refusals)
    if handshakes is not None:
        # Not uvicorn's TLS: see `tls_protocol`.
        http = partial(_tls_door, http, handshakes)
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
        # By its own default, uvicorn believes whoever asks from this machine.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        timeout_graceful_shutdown=settings.drain_s,
    )


def _count_problem(app: FastAPI, code: str) -> None:
    opened = services_of(app)
    if opened is not None:
        opened.metrics.problems.labels(code).inc()


def _tls_door(http: Any, handshakes: Handshakes, **uvicorns: Any) -> TlsDoor:
    return TlsDoor(http(**uvicorns), handshakes)


def _tell_of_wrong_certificate(app: FastAPI, address: str) -> None:
    """Tell the audit trail that a client was not let in; the event loop does not wait for it."""
    opened = services_of(app)
    if opened is not None and opened.audit.is_on:
        event = node_refused(http_caller(None, address), opened.audit.process, "tls-certificate")
        asyncio.get_running_loop().run_in_executor(None, opened.audit.record, [event])


def device_failed(app: FastAPI) -> bool:
    """Tell whether the device is lost to this process."""
    opened = services_of(app)
    return opened is not None and opened.models.failed


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
    handshakes
        Of TLS, where it is spoken.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        lame_duck_s: float,
        handshakes: Handshakes | None = None,
    ) -> None:
        super().__init__(config)
        self._app, self._lame_duck_s, self._handshakes = app, lame_duck_s, handshakes
        self._leave_at: float | None = None
        self._hangups: Hangups | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        opened = services_of(self._app)
        if opened is None or sig != signal.SIGTERM or self._leave_at is not None:
            super().handle_exit(sig, frame)
            return
        self._begin_to_leave(opened)
        # So that the process ends by the signal, as supervisors expect.
        self._captured_signals.append(sig)

    @contextmanager
    def hearing_hangups(self) -> Iterator[None]:
        """Look for new files of the models on SIGHUP, while in the context, as daemons do.

        For one that came before, too: it asked for files that may have come after ours were read.
        """
        before = signal.getsignal(signal.SIGHUP)
        self._hangups = hear_hangups()
        self._hangups.end = partial(self.handle_exit, signal.SIGTERM)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do as uvicorn, which ends the process by the signal at the end; the last words first."""
        with super().capture_signals():
            try:
                yield
            finally:
                finish_logs()

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to go, and each second at connections."""
        if counter % TICKS_A_SECOND == 0:
            self._look_at_connections()
            if self._handshakes is not None:
                self._handshakes.contexts.look()
        if counter and counter % (GIVE_BACK_S * TICKS_A_SECOND) == 0:
            asyncio.get_running_loop().run_in_executor(None, give_back)
        opened = services_of(self._app)
        hangups = self._hangups
        if hangups is not None and hangups.asked and opened is not None and opened.reloader:
            hangups.asked = False
            opened.reloader.ask()
        if self._leave_at is None and opened is not None and opened.models.failed:
            self._begin_to_leave(opened)
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Break off handshakes, then do as uvicorn does."""
        if self._handshakes is not None:
            self._handshakes.close()
        await super().shutdown(sockets)

    def _begin_to_leave(self, opened: Services) -> None:
        """Be ready no more, and listen for a while."""
        opened.limiter.leaving = True
        self._leave_at = time.monotonic() + self._lame_duck_s

    def _look_at_connections(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.look(now)
