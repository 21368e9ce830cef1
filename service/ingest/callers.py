"""Connections, accepted in one place and handed to the ingest processes in turn.

Were they to listen together, whoever wakes first takes all that wait: of 200 connections at once,
one of two took 200.
"""

import socket
import threading
import time
from collections import deque

import structlog

from service.ingest.wire import Caller, Channel

log = structlog.get_logger("mammoseg")

BACKLOG = 2048
"""As uvicorn's."""

PAUSE_S = 0.1
"""After the system could not accept: files or memory may come free."""


class Callers:
    """Accepts from the first process that joins on, until it is closed.

    Parameters
    ----------
    listener
        A bound socket; it is this object's from now on.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._changed = threading.Condition()
        self._takers: deque[Channel] = deque()
        self._closed = False
        self._accepting: threading.Thread | None = None

    def join(self, taker: Channel) -> None:
        """Let a process take callers, too."""
        with self._changed:
            self._takers.append(taker)
            self._changed.notify_all()
            if self._accepting is None and not self._closed:
                self._listener.listen(BACKLOG)
                self._accepting = threading.Thread(target=self._accept, name="callers")
                self._accepting.start()

    def part(self, taker: Channel) -> None:
        """Hand a process none any more."""
        with self._changed:
            if taker in self._takers:
                self._takers.remove(taker)

    def close(self) -> None:
        """Accept no more; those who were accepted have been handed on."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        if self._accepting is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._accepting.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                caller, _ = self._listener.accept()
            except OSError as error:
                if not self._closed:
                    log.warning("accept-failed", error=type(error).__name__, errno=error.errno)
                    time.sleep(PAUSE_S)
                continue
            with caller:
                self._hand_over(caller)

    def _hand_over(self, caller: socket.socket) -> None:
        while (taker := self._next()) is not None:
            try:
                taker.send(Caller(), caller.fileno())
            except OSError:
                self.part(taker)
            else:
                return

    def _next(self) -> Channel | None:
        """Wait for somebody to take a caller; None when there will be nobody."""
        with self._changed:
            self._changed.wait_for(lambda: self._takers or self._closed)
            if not self._takers:
                return None
            self._takers.rotate(-1)
            return self._takers[-1]
