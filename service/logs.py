"""Structured logs on stderr. They carry codes, sizes and times; never anything from an image."""

import atexit
import logging
import os
import select
import sys
import threading
import time
import traceback
from collections import deque
from pathlib import Path
from typing import TextIO

import structlog

MAX_WAITING_BYTES = 2**20
"""Of lines that nobody has read yet, beside what the system keeps of them."""

LOOK_S = 1.0
"""Longest time between two looks whether somebody reads again."""

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
        self._descriptor = descriptor
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
        except OSError:
            # Nobody will read it any more.
            return b""
        return line

    def _is_ready(self, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(wait_s * 1e3))

    def _write_what_waits(self) -> None:
        waiting = True
        while waiting:
            self._is_ready(LOOK_S)
            with self._lock:
                line = self._waiting[0]
                rest = self._written(line)
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


_WRITERS: dict[int, UnhinderedWriter] = {}


def writer_to(descriptor: int) -> UnhinderedWriter:
    """Return the one writer of a descriptor: two would not know of one another's lines."""
    return _WRITERS.setdefault(descriptor, UnhinderedWriter(descriptor))


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


def configure_logs(level: str, form: str, *, waits: bool = True) -> None:
    """Send structlog and the standard library's logging to stderr, as JSON lines or text.

    Parameters
    ----------
    level
        The lowest that is shown.
    form
        "json" or "console".
    waits
        Whoever logs waits for who reads; a service must not, and loses lines instead.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = (logging.StreamHandler if waits else UnhinderedHandler)(sys.stderr)
    if not waits:
        atexit.register(finish_logs)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_exception_text,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # pydicom and its kin quote raw values of the file, and its UIDs.
    for name in ("pydicom", "pynetdicom", "highdicom", "PIL"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Deliveries are logged by the inbox.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Requests are logged once, by our own middleware, without query strings.
    logging.getLogger("uvicorn.access").disabled = True


def _without_exception_text(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep of an exception its type and place: its text may quote an image."""
    info = event.pop("exc_info", None)
    for name in ("exc_text", "exception", "stack", "stack_info"):
        event.pop(name, None)
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"], event["at"] = type(error).__name__, where(error)
    return event


def where(error: BaseException) -> list[str]:
    """Say where an exception was raised, file:line by frame, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-6:]]
