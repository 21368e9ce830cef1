"""The bytes of a file: asked for first, and read when there is memory for them."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from service.errors import MammosegError, TooLarge, UnreadableImage


class SourceUnavailable(MammosegError):
    """A file cannot be opened, or a server does not give an instance."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """A regular file that is there.

    Attributes
    ----------
    path
        Of it.
    told
        What the system said of it before it was read.
    """

    path: Path
    told: os.stat_result

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.told.st_size

    def read(self) -> bytes:
        """Return its content, up to the length that it had.

        Raises
        ------
        SourceUnavailable
            It cannot be opened.
        """
        try:
            with self.path.open("rb") as file:
                return file.read(self.size)
        except OSError as error:
            raise _unreadable(error) from None


def look_at(path: Path, max_bytes: int) -> FileBody:
    """Ask the system for a file, and refuse what is none to be read.

    Raises
    ------
    MammosegError
        It is not there, is no regular file, is empty or has over `max_bytes`.
    """
    try:
        # Before it is opened: whoever opens a FIFO waits.
        told = path.stat()
    except OSError as error:
        raise _unreadable(error) from None
    if not stat.S_ISREG(told.st_mode):
        raise UnreadableImage("not-an-image", "This is no regular file.")
    if told.st_size > max_bytes:
        raise TooLarge(
            "body-too-large",
            f"The file is over the limit of {max_bytes >> 20} MiB; MAMMOSEG_MAX_BODY_MIB moves it.",
        )
    if told.st_size == 0:
        raise UnreadableImage("empty-body", "The file is empty.")
    return FileBody(path, told)


def _unreadable(error: OSError) -> SourceUnavailable:
    return SourceUnavailable("file-unreadable", f"The file cannot be opened: {error.strerror}.")
