"""A copy of an SQLite file and its write-ahead log, to be looked at beside whoever has it open."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

TRIES = 5
"""How often a copy is made anew whose log was begun anew meanwhile."""

LOG_HEADER_BYTES = 32
"""Of a write-ahead log: two salts among them, which change when it is begun anew."""

MEMORY = "/dev/shm"  # noqa: S108
"""Where there is room while the disk is full."""


@contextmanager
def copied(file: Path) -> Iterator[Path | None]:
    """Yield a copy as of one moment, with its log, gone at the end; None where there is no log.

    Nothing of the file is changed, locked, or made beside it.

    Raises
    ------
    OSError
        There is no room for a copy, or the file cannot be read, or was written all the time.
    """
    log = file.with_name(f"{file.name}-wal")
    with _folder(file, log) as folder:
        copy = folder / file.name
        for _ in range(TRIES):
            header = _header(log)
            if not header:
                yield None
                return
            # First: what a checkpoint brings into it meanwhile is in the log until that is begun
            # anew. What is at the log's end is whole, or does not count.
            shutil.copyfile(file, copy)
            shutil.copyfile(log, folder / log.name)
            if _header(log) == header == _header(folder / log.name):
                yield copy
                return
    raise BlockingIOError(errno.EAGAIN, "it is written all the time")


@contextmanager
def _folder(*files: Path) -> Iterator[Path]:
    """Yield a new folder for its maker alone, where there is room for copies; gone at the end."""
    size = 0
    for file in files:
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    places = [each for each in (gettempdir(), MEMORY) if os.path.isdir(each)]
    roomy = [each for each in places if shutil.disk_usage(each).free > 2 * size]
    with TemporaryDirectory(prefix="mammoseg-", dir=(roomy or places)[0]) as name:
        yield Path(name)


def _header(log: Path) -> bytes:
    with suppress(FileNotFoundError), log.open("rb") as file:
        return file.read(LOG_HEADER_BYTES)
    return b""
