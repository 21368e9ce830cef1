"""Folders that nobody else may enter, and files that nobody else may open, whatever the umask is.

Whoever may open a lock file, if only to read it, may hold its lock.
"""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from service.errors import StartupError

OWNER_ALONE = 0o600


def check_private(folder: Path, what: str, holds: str) -> None:
    """Refuse a folder that others may enter, list or write; it is not ours to change.

    A group may where the folder belongs to somebody else, as a volume of Kubernetes (fsGroup).

    Parameters
    ----------
    what
        What the folder is: "the inbox".
    holds
        What it holds, for whoever reads why that matters.

    Raises
    ------
    StartupError
        Others may.
    OSError
        It cannot be looked at.
    """
    if is_open_to_others(folder, 0o777):
        raise StartupError(
            f"{what} {folder} is open to others (mode {folder.stat().st_mode & 0o7777:04o}): it "
            f"holds {holds}. Run chmod 0700 on it, or name a folder in it that is made anew"
        )


def is_open_to_others(folder: Path, may: int) -> bool:
    """Tell whether others may do some of what a mode's bits allow; see `check_private`."""
    state = folder.stat()
    forbidden = 0o077 if state.st_uid == os.geteuid() else 0o007
    return bool(state.st_mode & forbidden & may)


def owner_only(path: str | Path, flags: int) -> int:
    """Open a file as `os.open` does, for its owner alone if it is made; an `opener` of `open`."""
    return os.open(path, flags | os.O_CLOEXEC, OWNER_ALONE)


def close_to_others(descriptor: int) -> None:
    """Take back what an earlier version or a careless copy allowed others, if it is ours to."""
    with suppress(PermissionError):
        os.fchmod(descriptor, OWNER_ALONE)


def not_for_others(descriptor: int) -> None:
    """Take from a regular file of ours what it allows to everybody, and leave its group alone."""
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_mode & 0o007 and state.st_uid == os.geteuid():
        os.fchmod(descriptor, state.st_mode & 0o770)


def locked(file: Path) -> BinaryIO | None:
    """Hold a file by its lock; None where another process does. It is made if it is not there.

    The kernel lets go of the lock however a process ends, and when the file is closed.

    Raises
    ------
    OSError
        The file cannot be opened, or its file system has no locks.
    """
    opened = open(file, "ab", opener=owner_only)  # noqa: SIM115 - held by whoever asked
    try:
        close_to_others(opened.fileno())
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        opened.close()
        return None
    except BaseException:
        opened.close()
        raise
    return opened
