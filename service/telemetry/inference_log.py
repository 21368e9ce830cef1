"""Where lines of inferences go: nowhere, into the log, or into a file of their own."""

import logging
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from service.errors import StartupError
from service.telemetry.inference_line import InferenceLine

log = structlog.get_logger("mammoseg")


class InferenceLog(Protocol):
    """Takes lines; for several threads, and never raises."""

    def write(self, line: InferenceLine) -> None:
        """Take a line."""

    def close(self) -> None:
        """Let go of what it holds."""


class ToLog:
    """Into the service's log, among its other lines."""

    def write(self, line: InferenceLine) -> None:
        """Take a line."""
        log.info(**msgspec.to_builtins(line))

    def close(self) -> None:
        """Nothing to let go of."""


class ToFile:
    """Into a file; one that is moved away, as logrotate does, is opened anew.

    Parameters
    ----------
    file
        Appended to; made, for its owner alone, if it is not there.

    Raises
    ------
    StartupError
        It cannot be opened.
    """

    def __init__(self, file: Path) -> None:
        try:
            file.touch(mode=0o600)
            self._handler = _Handler(file, encoding="utf-8")
        except OSError as error:
            raise StartupError(f"INFERENCE_LOG cannot be opened: {error.strerror}") from None

    def write(self, line: InferenceLine) -> None:
        """Take a line."""
        text = msgspec.json.encode(line).decode()
        try:
            self._handler.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))
        except OSError:
            # A file that was moved away, and cannot be opened anew.
            _tell_of_loss()

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


class _Handler(WatchedFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Say that a line is lost; the answer is not."""
        _tell_of_loss()


def _tell_of_loss() -> None:
    log.error("inference-line-lost")


def open_inference_log(where: Path | str) -> InferenceLog | None:
    """Return where lines go: "off", "log", or a file.

    Raises
    ------
    StartupError
        The file cannot be opened.
    """
    if where == "off":
        return None
    return ToLog() if where == "log" else ToFile(Path(where))
