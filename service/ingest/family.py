"""The ingest processes and their owner as one service: started, replaced, ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from types import FrameType

import structlog
from prometheus_client.multiprocess import mark_process_dead

from service.inference.net import Net
from service.ingest.callers import Callers
from service.ingest.owner import Owner
from service.ingest.wire import Channel, End, Step, Welcome
from service.metrics import SHARED
from service.server import DEVICE_FAILED, config_of
from service.settings import Settings
from service.watchdog import Watchdog, Watched

log = structlog.get_logger("mammoseg")

SIGNALS = (signal.SIGTERM, signal.SIGINT)

LOOK_S = 0.1
"""Between two looks at who is there."""

HANGING_S = 10.0
"""After the time to finish what was accepted, whoever is still there is killed."""

EARLY_S, MOST_EARLY = 5.0, 5
"""A process that ends within so many seconds of its start ended early; after so many of those in a
row, none will ever stay."""


def serve(net: Net, settings: Settings) -> int:
    """Serve with several ingest processes until a signal; give the exit status.

    Parameters
    ----------
    net
        The model on its device; closed at the end.
    settings
        The service's.
    """
    # Binds, says so and, where the address is taken, exits, as uvicorn does by itself.
    listener = config_of("service.app:create_app", settings).bind_socket()
    came: list[int] = []

    def take(sig: int, _: FrameType | None) -> None:
        family.end(at_once=sig == signal.SIGINT, by_force=bool(came))
        came.append(sig)

    with tempfile.TemporaryDirectory(prefix="mammoseg-metrics-") as metrics:
        family = Family(net, settings, listener, metrics)
        before = {sig: signal.signal(sig, take) for sig in SIGNALS}
        status = family.run()
    log.info("stopped")
    for sig, handler in before.items():
        signal.signal(sig, handler)
    if came:
        # So that the process ends by the signal, as supervisors expect.
        signal.raise_signal(came[0])
    return status


@dataclass(slots=True, eq=False)
class _Child(Watched):
    channel: Channel
    since: float

    def end(self, step: Step) -> None:
        """Have it end; one that is gone has ended."""
        with contextlib.suppress(OSError):
            self.channel.send(End(step))


class Family:
    """Keeps as many ingest processes as are wanted, until all shall end.

    Parameters
    ----------
    net, settings
        As of `serve`.
    listener
        A bound socket.
    metrics
        Folder where they count together.
    """

    def __init__(self, net: Net, settings: Settings, listener: socket.socket, metrics: str) -> None:
        self._owner = Owner(net, settings.max_in_flight)
        self._callers = Callers(listener)
        self._settings, self._metrics = settings, metrics
        self._children: list[_Child] = []
        self._early = self._status = 0
        self._leave_until: float | None = None
        self._step: Step | None = None
        self._by_force = False

    def run(self) -> int:
        """Serve until they shall end, and have ended; give the exit status."""
        # In a thread of its own: a word to a process that is stopped may have to wait.
        watchdog = Watchdog(lambda: tuple(self._children), "ingest")
        while self._step is None or self._children:
            self._bury()
            if self._leave_until is not None:
                self._go_on_ending(self._leave_until)
            else:
                self._look_after()
            time.sleep(LOOK_S)
        watchdog.close()
        self._callers.close()
        self._owner.close()
        return self._status

    def end(self, *, at_once: bool = False, by_force: bool = False) -> None:
        """Have all end, soon; may be called by a signal's handler.

        Parameters
        ----------
        at_once
            Without the time in which they are not ready, but take what comes.
        by_force
            What they have is not finished.
        """
        lame_duck_s = 0.0 if at_once else self._settings.lame_duck_s
        if self._leave_until is None or at_once:
            self._leave_until = time.monotonic() + lame_duck_s
        self._by_force = self._by_force or by_force

    def _go_on_ending(self, leave_until: float) -> None:
        if self._by_force or time.monotonic() > leave_until + self._settings.drain_s + HANGING_S:
            for child in self._children:
                child.process.kill()
        step: Step = "leave" if time.monotonic() < leave_until else "exit"
        if step == self._step:
            return
        if step == "exit":
            # First: what was handed over before they hear of it is theirs to answer.
            self._callers.close()
        self._step = step
        for child in self._children:
            child.end(step)

    def _bury(self) -> None:
        for child in [one for one in self._children if one.process.poll() is not None]:
            self._children.remove(child)
            self._callers.part(child.channel)
            child.channel.close()
            mark_process_dead(child.process.pid, self._metrics)  # type: ignore[no-untyped-call]
            if self._leave_until is None:
                early = time.monotonic() - child.since < EARLY_S
                self._early = self._early + 1 if early else 0
                log.warning("ingest-lost", pid=child.process.pid, status=child.process.returncode)

    def _look_after(self) -> None:
        """Start whoever is missing; or end, where nobody can do without."""
        if self._owner.net.failed:
            self._status = DEVICE_FAILED
            self.end()
        elif self._early >= MOST_EARLY:
            log.error("ingest-failed", reason="the processes that take requests do not stay")
            self._status = 1
            self.end(at_once=True)
        else:
            try:
                while len(self._children) < self._settings.ingest:
                    self._children.append(self._start())
            except OSError as error:
                # There may be room for it at the next look.
                log.warning("ingest-not-started", error=type(error).__name__)

    def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            # Isolated from the caller's folder: what is imported is what is installed.
            command = [sys.executable, "-I", "-m", "service.ingest.child", str(theirs.fileno())]
            environment = os.environ | {SHARED: self._metrics}
            try:
                process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
            except OSError:
                ours.close()
                raise
        child = _Child(process, Channel(ours), time.monotonic())
        log.info("ingest-started", pid=process.pid)
        threading.Thread(target=self._converse, args=(child,), daemon=True).start()
        return child

    def _converse(self, child: _Child) -> None:
        try:
            child.channel.send(Welcome(self._settings, self._owner.net.served))
            child.channel.receive()
            self._callers.join(child.channel)
            self._owner.serve(child.channel)
        except (EOFError, OSError):
            return
        except Exception as error:
            # Whatever it says next cannot be understood either, and its callers would wait for it.
            log.warning("ingest-not-understood", error=type(error).__name__)
            child.process.kill()
        finally:
            self._callers.part(child.channel)
