"""An ingest process: `python -m service.ingest.child FD FD`, its channel and the listening socket.

It takes requests like a service of one process does, but for the net, which another owns. Signals
mean nothing to it: Ctrl-C and a stop of the unit reach every process, and the owner says when.
"""

import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import StartupError
from service.ingest.remote import RemoteNet
from service.ingest.wire import Channel, Welcome
from service.logs import configure_logs
from service.readers import open_readers
from service.segmenter import Segmenter
from service.server import DEVICE_FAILED, Server, config_of

log = structlog.get_logger("mammoseg")


class IngestServer(Server):
    """Ends as the owner says, in the same steps as a service of one process."""

    def __init__(
        self, config: uvicorn.Config, app: FastAPI, lame_duck_s: float, net: RemoteNet
    ) -> None:
        super().__init__(config, app, lame_duck_s)
        self._net = net

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave a signal to the owner."""

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, what the owner said."""
        if self._net.end is not None:
            self.begin_to_leave()
            self.should_exit = self.should_exit or self._net.end != "leave"
        return await super().on_tick(counter)


def main(channel: int, listener: int) -> int:
    """Take requests until the owner says otherwise; give the exit status."""
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, signal.SIG_IGN)
    owner = Channel(socket.socket(fileno=channel))
    try:
        welcome: Welcome = owner.receive()
    except (EOFError, OSError):
        return DEVICE_FAILED
    settings = welcome.settings
    configure_logs(settings.log_level, settings.log_format)
    net = RemoteNet(owner, welcome.served)
    try:
        reader = open_readers(settings)
    except StartupError as error:
        log.error("ingest-failed", reason=str(error))
        return 1
    app = create_app(settings, Segmenter(net, reader))
    server = IngestServer(config_of(app, settings), app, settings.lame_duck_s, net)
    server.run(sockets=[socket.socket(fileno=listener)])
    return DEVICE_FAILED if net.failed else 0


if __name__ == "__main__":
    # The classes that travel must be those of imported modules, not of `__main__`.
    from service.ingest import child

    sys.exit(child.main(*map(int, sys.argv[1:])))
