"""An ingest process: `python -m service.ingest.child FD`, the descriptor of its channel.

It takes requests like a service of one process does, but listens to nobody: the owner hands it one
connection after another, and runs its tiles. Signals mean nothing to it, since Ctrl-C and a stop of
the unit reach every process; the owner says when it ends.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import StartupError
from service.ingest.remote import RemoteNet
from service.ingest.wire import Caller, Channel, End, Ready, Step, Welcome
from service.logs import configure_logs
from service.readers import open_readers
from service.segmenter import Segmenter
from service.server import DEVICE_FAILED, WatchfulServer, allow_descriptors, config_of

log = structlog.get_logger("mammoseg")


class IngestServer(WatchfulServer):
    """Serves connections that it is given, until it is told to end.

    Parameters
    ----------
    config
        Uvicorn's.
    app
        Its `state.intake` is told.
    channel
        To the owner.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, channel: Channel) -> None:
        super().__init__(config)
        self._app, self._channel = app, channel
        self._step: Step | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def told(self, message: Caller | End) -> None:
        """Do what the owner says; called by the thread that listens to it."""
        if isinstance(message, End):
            self._step = message.step
            return
        caller = socket.socket(fileno=self._channel.receive_file())
        caller.setblocking(False)
        assert self._loop is not None, "it said that it was ready"
        self._loop.call_soon_threadsafe(self._loop.create_task, self._adopt(caller))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave a signal to the owner."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start without a socket to listen on, and tell the owner."""
        await super().startup(sockets=[])
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            self._channel.send(Ready())

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, what the owner said."""
        if self._step is not None:
            self._app.state.intake.leaving = True
            self.should_exit = self._step == "exit"
        return await super().on_tick(counter)

    async def _adopt(self, caller: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            # As uvicorn does for those that it accepts.
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )

        await asyncio.get_running_loop().connect_accepted_socket(protocol, caller)


def main(channel: int) -> int:
    """Take requests until the owner says otherwise; give the exit status."""
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, signal.SIG_IGN)
    owner = Channel(socket.socket(fileno=channel))
    try:
        welcome = owner.receive()
    except (EOFError, OSError):
        return DEVICE_FAILED
    if not isinstance(welcome, Welcome):
        return 0
    settings = welcome.settings
    configure_logs(settings.log_level, settings.log_format)
    net = RemoteNet(owner, welcome.served)
    try:
        reader = open_readers(settings)
    except StartupError as error:
        log.error("ingest-failed", reason=str(error))
        return 1
    app = create_app(settings, Segmenter(net, reader))
    allow_descriptors(settings.connections_here)
    server = IngestServer(config_of(app, settings), app, owner)

    def hear() -> None:
        net.listen(server.told)
        # Without an owner there is nothing to do.
        server.told(End("exit"))

    threading.Thread(target=hear, name="owner", daemon=True).start()
    server.run()
    return DEVICE_FAILED if net.failed else 0


if __name__ == "__main__":
    # The classes that travel must be those of imported modules, not of `__main__`.
    from service.ingest import child

    sys.exit(child.main(int(sys.argv[1])))
