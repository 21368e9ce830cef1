"""One process at a time works on an inbox that lies in a folder."""

import fcntl
from pathlib import Path
from typing import BinaryIO

from service.inbox.poller import Poller

LOCK = "worker.lock"


async def locked(folder: Path, poller: Poller) -> BinaryIO | None:
    """Wait until no other process works on the inbox; None when stopped meanwhile.

    The kernel lets go of the lock however a process ends, and when the file is closed.
    """
    file = (folder / LOCK).open("ab")
    while not poller.stopped:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await poller.wait()
            continue
        return file
    file.close()
    return None
