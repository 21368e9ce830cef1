"""Structured logs on stderr. They carry codes, sizes and times; never anything from an image.

What other people's code logs quotes files, headers and secrets. So its words are let through only
where it is named here; of all else it is said that it spoke, where and how often.
"""

import atexit
import logging
import sys
import threading
import traceback
from collections import Counter
from pathlib import Path

import structlog

from service.system.unhindered_log import UnhinderedHandler, finish_logs

OWN = "mammoseg"
"""The logger of the whole service."""

NAMED = frozenset(("uvicorn.error",))
"""Other people's loggers whose lines are written, if they are one line and no exception."""

SILENT = ("pydicom", "pynetdicom", "highdicom", "PIL")
"""What complains of files that callers are told of anyway: not even that it spoke is said."""

FOREIGN = "foreign-log"
"""Event of a line whose words are left out."""


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
            foreign_pre_chain=[*shared, _without_foreign_words],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_exception_text,
                renderer,
            ],
        )
    )
    handler.addFilter(_ForeignLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class _ForeignLines(logging.Filter):
    """Lets through our own lines and those that may be written as they are.

    Of others, warnings and errors from one place are counted, and the first, the second, the
    fourth, the eighth ... is let through, to be written without its words.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[tuple[str, int, str, int]] = Counter()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is written."""
        if record.name == OWN or _is_written_as_it_is(record):
            return True
        if record.levelno < logging.WARNING:
            return False
        with self._lock:
            place = record.name, record.levelno, record.filename, record.lineno
            self._counts[place] += 1
            record.times = times = self._counts[place]
        return times & (times - 1) == 0


def _is_written_as_it_is(record: logging.LogRecord) -> bool:
    # uvicorn logs whole exceptions, too, and tracebacks with their text.
    is_text = record.name in NAMED and isinstance(record.msg, str)
    return is_text and "\n" not in record.getMessage().strip()


def _without_foreign_words(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep of a line of other people's its logger, and the place in their code that logged it."""
    record = event["_record"]
    if not _is_written_as_it_is(record):
        event["event"], event["logger"] = FOREIGN, record.name
        event["logged_at"] = f"{record.filename}:{record.lineno}"
        event["times"] = getattr(record, "times", 1)
    return event


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
