"""Structured logs on stderr. They carry codes, sizes and times; never anything from an image."""

import atexit
import logging
import sys
import traceback
from pathlib import Path

import structlog

from service.system.unhindered_log import UnhinderedHandler, finish_logs


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
