"""Where lines of inferences go: nowhere, into the log, or into a file of their own."""

import logging
import os
import stat
import sys
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from service.errors import StartupError
from service.system.passing import may_pass
from service.system.private_files import not_for_others, owner_only
from service.system.unhindered_log import UnhinderedHandler
from service.telemetry.inference_line import InferenceLine
from service.telemetry.shadow_line import ShadowLine

log = structlog.get_logger("mammoseg")


class InferenceLog(Protocol):
    """Takes lines; for several threads, and never raises."""

    def write(self, line: InferenceLine | ShadowLine) -> None:
        """Take a line."""

    def close(self) -> None:
        """Let go of what it holds."""


class Lines:
    """Writes each line as it is: going through the log's processors would take twice as long.

    Parameters
    ----------
    handler
        Where they go.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    def write(self, line: InferenceLine | ShadowLine) -> None:
        """Take a line."""
        text = msgspec.json.encode(line).decode()
        try:
            self._handler.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))
        except OSError:
            # A file that was moved away, and cannot be opened anew.
            _tell_of_loss()

    def close(self) -> None:
        """Close what was opened."""
        self._handler.close()


class _ToLog(UnhinderedHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: it is the log itself that cannot be written."""


class _ToFile(WatchedFileHandler):
    def _open(self) -> TextIOWrapper:
        """Open the file; a line that was broken off must not take the next one with it."""
        ended = _ends_with_a_line(Path(self.baseFilename))
        # Anew, too: who rotates moves it away, and what is made then has the umask's mode else.
        stream = open(self.baseFilename, "a", encoding=self.encoding, opener=owner_only)  # noqa: SIM115
        not_for_others(stream.fileno())
        if not ended:
            # It goes out with the first line: a disk that is still full keeps nobody from starting.
            stream.write(self.terminator)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:
        """Say that a line is lost; the answer is not."""
        _tell_of_loss()


def _ends_with_a_line(file: Path) -> bool:
    try:
        told = file.stat()
        if told.st_size == 0 or not stat.S_ISREG(told.st_mode):
            # Whoever opens a pipe waits.
            return True
        with file.open("rb") as content:
            content.seek(-1, os.SEEK_END)
            return content.read() == b"\n"
    except OSError:
        # It is not there yet, or may be written alone.
        return True


def _tell_of_loss() -> None:
    log.error("inference-line-lost")


def open_inference_log(where: Path | str) -> InferenceLog | None:
    """Return where lines go.

    Parameters
    ----------
    where
        "off"; "log" for the service's log, which is standard error; or a file, which is appended
        to, made for its owner alone if it is not there, and opened anew once it was moved away. Of
        one that is there, a group may read what it may; others may not any more.

    Raises
    ------
    StartupError
        The file cannot be opened.
    """
    if where == "off":
        return None
    if where == "log":
        return Lines(_ToLog(sys.stderr))
    try:
        return Lines(_ToFile(where, encoding="utf-8"))
    except OSError as error:
        reason = f"INFERENCE_LOG cannot be opened: {error.strerror}"
        raise StartupError(reason, may_pass=may_pass(error)) from None
