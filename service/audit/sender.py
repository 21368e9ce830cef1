"""Brings the buffer's messages to the collector, each at least once, in their order."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

import structlog

from service.audit.buffer import LOCK, AuditBuffer
from service.audit.collector import CLOSE_S, CollectorFails, Connection
from service.audit.syslog import syslog_message
from service.backoff import doubled_s
from service.logs import where
from service.system.private_files import locked

log = structlog.get_logger("mammoseg")

POLL_S = 1.0
"""Between two looks for what other processes added; also between two waits for the disk."""

GATHER_S = 0.05
"""After the first message, for others that come with it."""

BATCH = 64
"""Messages in memory at once."""

SETTLE_S = 10.0
"""A connection that has lived on for so long after the collector's machine had a message counts for
its having been read: syslog has no acknowledgements (RFC 5425). One that breaks off earlier has it
sent again."""

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Before a further try to connect."""

DRAIN_S = 5.0
"""At the end, for what is still to be sent."""

AWAY_S = 0.5
"""At the end, where the collector is away already."""

FAULT_S = 5.0
"""After a fault of the disk."""


class Sender:
    """A thread of its own; of several processes on one buffer, one sends.

    Parameters
    ----------
    buffer
        What to send.
    connect
        Connects to the collector; raises CollectorFails.
    settle_s
        As `SETTLE_S`.
    """

    def __init__(
        self, buffer: AuditBuffer, connect: Callable[[], Connection], settle_s: float = SETTLE_S
    ) -> None:
        self._buffer, self._connect, self._settle_s = buffer, connect, settle_s
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._lock: BinaryIO | None = None
        self._connection: Connection | None = None
        self._sent = self._synced = 0
        self._sync_due = 0.0
        self._acknowledged: deque[tuple[int, float]] = deque()
        self._failures = 0
        self._code: str | None = None
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._wake.set()

    def close(self) -> bool:
        """Send what can be sent within `DRAIN_S`, and end; the rest stays in the buffer.

        Returns
        -------
        bool
            The thread has ended. One that hangs on a collector that is away ends with the process.
        """
        self._deadline = time.monotonic() + DRAIN_S
        self._stopping.set()
        self._wake.set()
        is_away = self._connection is None and self._failures > 0
        self._thread.join(AWAY_S if is_away else DRAIN_S + CLOSE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._round()
            self._wake.wait(POLL_S)
            self._wake.clear()
            self._stopping.wait(GATHER_S)
        if self._connection is not None or not self._failures:
            self._round()
        self._end()

    def _round(self) -> None:
        """Send what there is; wait after a failure."""
        try:
            try:
                if self._is_sender():
                    self._step()
            except CollectorFails as failure:
                self._fail(failure.code)
        except Exception as error:
            # The disk's, as a rule; another round may fare better.
            log.error("audit-fault", error=type(error).__name__, at=where(error))
            self._break_off()
            self._stopping.wait(FAULT_S)

    def _step(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.check()
        while messages := self._buffer.after(self._sent, BATCH):
            if connection is None:
                connection = self._opened()
            for each in messages:
                if time.monotonic() > self._deadline:
                    return
                connection.send(syslog_message(each.header, each.number, each.content))
                self._sent = each.number
            connection.check()
        if self._sent > self._synced and time.monotonic() >= self._sync_due:
            self._sync()
        self._settle()

    def _opened(self) -> Connection:
        self._connection = connection = self._connect()
        self._failures = 0
        log.info("audit-collector-connected", waiting=self._buffer.waiting())
        self._code = None
        return connection

    def _sync(self) -> None:
        self._buffer.sync()
        self._synced = self._sent
        self._sync_due = time.monotonic() + POLL_S

    def _settle(self) -> None:
        """Forget what the collector has had for long enough."""
        connection, now = self._connection, time.monotonic()
        if connection is None:
            return
        marked = self._acknowledged[-1][0] if self._acknowledged else 0
        if self._sent > marked and connection.is_acknowledged():
            self._acknowledged.append((self._sent, now))
        read = 0
        while self._acknowledged and self._acknowledged[0][1] + self._settle_s <= now:
            read, _ = self._acknowledged.popleft()
        if read:
            self._buffer.forget(read)

    def _fail(self, code: str) -> None:
        """Say once that the collector is away, sync what waits, and let some time pass."""
        self._break_off()
        self._failures += 1
        if code != self._code:
            self._code = code
            log.warning("audit-collector-away", code=code, waiting=self._buffer.waiting())
        wait_s = doubled_s(FIRST_WAIT_S, self._failures, LONGEST_WAIT_S)
        until = time.monotonic() + wait_s
        while time.monotonic() < until and not self._stopping.is_set():
            self._buffer.sync()
            self._stopping.wait(min(POLL_S, wait_s))

    def _break_off(self) -> None:
        """Let go of a broken connection: what it may not have brought is sent again."""
        connection, self._connection = self._connection, None
        self._sent = self._synced = 0
        self._acknowledged.clear()
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None and connection.close():
                self._buffer.forget(self._sent)
            waiting = self._buffer.waiting()
            self._buffer.sync()
            if waiting and self._lock is not None:
                log.warning("audit-waiting", waiting=waiting)
        except Exception as error:
            log.error("audit-fault", error=type(error).__name__, at=where(error))
        finally:
            if self._lock is not None:
                self._lock.close()

    def _is_sender(self) -> bool:
        """Tell whether this process is the one that sends; a dead one's lock is let go of."""
        if self._lock is not None:
            return True
        self._lock = locked(self._buffer.folder / LOCK)
        return self._lock is not None
