"""One process at a time writes into a folder of results."""

import errno
import fcntl
import os
from pathlib import Path
from typing import TextIO

from service.batch.results import NotWritten


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
        file = (folder / name).open("a+", encoding="ascii")
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
