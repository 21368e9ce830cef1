"""Logs as they were: `configure_logs` changes a whole process, and tests share one."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import structlog

_configure = structlog.configure


def _configure_uncached(**options: Any) -> None:
    """Configure structlog; a cached logger would keep the stderr of the test it first spoke in."""
    _configure(**options | {"cache_logger_on_first_use": False})


structlog.configure = _configure_uncached  # type: ignore[assignment]


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Bring logging and structlog back to what they were."""
    root = logging.getLogger()
    structured, handlers, level = structlog.get_config(), root.handlers[:], root.level
    before = {logger: (logger.level, logger.disabled) for logger in _loggers()}
    yield
    if structlog.get_config() == structured:
        return
    structlog.configure(**structured)
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger in _loggers():
        was, logger.disabled = before.get(logger, (logging.NOTSET, False))
        logger.setLevel(was)


def _loggers() -> list[logging.Logger]:
    known = list(logging.Logger.manager.loggerDict.values())
    return [logger for logger in known if isinstance(logger, logging.Logger)]
