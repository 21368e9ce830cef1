"""One process at a time writes into a folder of results."""

import errno
import fcntl
import os
from pathlib import Path
from typing import TextIO

from service.batch.results import NotWritten

NOT_FOR_ALL = 0o660
"""Less the umask. Whoever may open a lock file may hold its lock; a group may share a folder."""


def open_locked(folder: Path, name: str) -> TextIO:
    """Open a file of the folder, which is made when it is not there, and hold the folder by it.

    Returns
    -------
    ASCII, to be read and appended to; the lock ends when it is closed.

    Raises
    ------
    NotWritten
        The folder cannot be written, or another process writes into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / name, "a+", encoding="ascii", opener=_not_for_all)  # noqa: SIM115
    except (FileExistsError, NotADirectoryError):
        reason = f"{os.strerror(errno.ENOTDIR)}; --out takes a folder"
        raise NotWritten(f"{folder} cannot be written: {reason}") from None
    except OSError as error:
        raise NotWritten(f"{folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise NotWritten(f"another process writes into {folder}") from None
    return file


def make_not_for_all(file: Path) -> None:
    """Make a file, if it is not there, that no more than the folder's group may open.

    Raises
    ------
    NotWritten
        It cannot be made.
    """
    try:
        os.close(_not_for_all(str(file), os.O_RDWR | os.O_CREAT))
    except OSError as error:
        raise NotWritten(f"{file} cannot be written: {error.strerror}") from None


def _not_for_all(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, NOT_FOR_ALL)
