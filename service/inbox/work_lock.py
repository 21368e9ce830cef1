"""One process at a time works on an inbox that lies in a folder."""

import fcntl
from pathlib import Path
from typing import BinaryIO

LOCK = "worker.lock"


def lock(folder: Path) -> BinaryIO | None:
    """Begin to be the one that works on an inbox; None while another process does.

    The kernel lets go of the lock however a process ends, and when the file is closed.

    Raises
    ------
    OSError
        The file cannot be opened, or its file system has no locks.
    """
    file = (folder / LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file
