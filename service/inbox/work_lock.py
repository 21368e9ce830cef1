"""One process at a time works on an inbox that lies in a folder."""

from pathlib import Path
from typing import BinaryIO

from service.system.private_files import locked

LOCK = "worker.lock"


def lock(folder: Path) -> BinaryIO | None:
    """Begin to be the one that works on an inbox; None while another process does.

    The kernel lets go of the lock however a process ends, and when the file is closed.

    Raises
    ------
    OSError
        The file cannot be opened, or its file system has no locks.
    """
    return locked(folder / LOCK)
