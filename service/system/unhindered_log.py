"""Lines of the log for whoever must not wait for those who read them."""

import logging
import os
import select
import threading
import time
from collections import deque
from typing import TextIO

import structlog

MAX_WAITING_BYTES = 2**20
"""Of lines that nobody has read yet, beside what the system keeps of them."""

LOOK_S = 1.0
"""Longest time between two looks whether somebody reads again."""

PAUSE_S = 0.05
"""Between two tries where something is ready and takes nothing."""

END_S = 1.0
"""How long the end of a process waits for who reads slowly."""


class UnhinderedWriter:
    """Writes lines to a descriptor for whoever must not wait, at once wherever that is possible.

    Where nobody reads them, as when a log driver hangs, they wait for a thread that does nothing
    else, up to `MAX_WAITING_BYTES`; what comes after that is dropped, and counted. Files are
    written as ever: the system never says that they would block.

    Parameters
    ----------
    descriptor
        Open for writing; other processes may have it too.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _never_waiting(descriptor)
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = self._dropped = 0

    def write(self, line: bytes) -> None:
        """Write a line, now or later; never raises, and never waits."""
        with self._lock:
            rest = line if self._waiting else self._written(line)
            if not rest:
                return
            if self._waiting_bytes + len(rest) > MAX_WAITING_BYTES:
                self._dropped += 1
                return
            if not self._waiting:
                threading.Thread(target=self._write_what_waits, name="log", daemon=True).start()
            self._waiting.append(rest)
            self._waiting_bytes += len(rest)

    @property
    def is_done(self) -> bool:
        """Whether no line waits."""
        return not self._waiting

    def _written(self, line: bytes) -> bytes:
        """Write as much as the system takes at once; return the rest."""
        try:
            # What is ready takes so much without waiting: pipe(7).
            while line and self._is_ready(0.0):
                line = line[os.write(self._descriptor, line[: select.PIPE_BUF]) :]
        except BlockingIOError:
            return line
        except OSError:
            # Nobody will read it any more.
            return b""
        return line

    def _is_ready(self, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(wait_s * 1e3))

    def _write_what_waits(self) -> None:
        waiting, taken = True, True
        while waiting:
            if self._is_ready(LOOK_S) and not taken:
                # A terminal is ready, and yet takes nothing.
                time.sleep(PAUSE_S)
            with self._lock:
                line = self._waiting[0]
                rest = self._written(line)
                taken = len(rest) < len(line)
                self._waiting_bytes -= len(line) - len(rest)
                if rest:
                    self._waiting[0] = rest
                else:
                    self._waiting.popleft()
                waiting = bool(self._waiting)
                if not waiting:
                    dropped, self._dropped = self._dropped, 0
        if dropped:
            structlog.get_logger("mammoseg").warning("log-lines-dropped", lines=dropped)


def _never_waiting(descriptor: int) -> int:
    """Return a descriptor; of a terminal, another one of our own, for which writes never wait.

    A terminal says that it is ready with less room than a pipe has. Of the given one others would
    not wait any more, either: what they share is one file.
    """
    if not os.isatty(descriptor):
        return descriptor
    try:
        return os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return descriptor


_WRITERS: dict[int, UnhinderedWriter] = {}


def writer_to(descriptor: int) -> UnhinderedWriter:
    """Return the one writer of a descriptor: two would not know of one another's lines."""
    return _WRITERS.get(descriptor) or _WRITERS.setdefault(descriptor, UnhinderedWriter(descriptor))


def finish_logs() -> None:
    """Wait a moment until what was logged is written; before the process ends."""
    until = time.monotonic() + END_S
    while time.monotonic() < until and not all(each.is_done for each in _WRITERS.values()):
        time.sleep(0.01)


class UnhinderedHandler(logging.StreamHandler[TextIO]):
    """Hands lines to the writer of a stream's descriptor; to the stream where it has none."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; whoever logs does not wait."""
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError, AttributeError):
            super().emit(record)
            return
        try:
            text = self.format(record) + self.terminator
            writer_to(descriptor).write(text.encode(self.stream.encoding, "backslashreplace"))
        except Exception:
            self.handleError(record)
