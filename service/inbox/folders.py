"""The folders of an inbox: where they lie, and who may enter them."""

import os
from pathlib import Path
from tempfile import TemporaryFile

from service.errors import StartupError
from service.system.passing import may_pass


def folders_of(folder: Path) -> tuple[Path, Path, Path, Path]:
    """Return where what is incoming, sources, results, and what is lost lie in an inbox."""
    return folder / "incoming", folder / "sources", folder / "results", folder / "lost"


def check_folders(folder: Path) -> None:
    """Check that those folders of an inbox that are there can be used; nothing is made.

    Raises
    ------
    StartupError
        One cannot be written, or others may enter it.
    """
    try:
        for directory in (folder, *folders_of(folder)):
            if directory.exists():
                check_private(directory)
                # A file without a name, where the system knows such.
                TemporaryFile(dir=directory).close()
    except OSError as error:
        raise cannot_write(folder, error) from None


def cannot_write(folder: Path, error: OSError) -> StartupError:
    """Return why an inbox cannot be written, and whether that may pass."""
    reason = f"the inbox {folder} cannot be written: {error.strerror}"
    return StartupError(reason, may_pass=may_pass(error))


def check_private(folder: Path) -> None:
    """Refuse a folder that others may enter, list or write; it is not ours to change.

    A group may where the folder belongs to somebody else, as a volume of Kubernetes (fsGroup).
    """
    state = folder.stat()
    forbidden = 0o077 if state.st_uid == os.geteuid() else 0o007
    if state.st_mode & forbidden:
        raise StartupError(
            f"the inbox {folder} is open to others (mode {state.st_mode & 0o7777:04o}): it holds "
            "images of patients. Run chmod 0700 on it, or name a folder in it that is made anew"
        )
