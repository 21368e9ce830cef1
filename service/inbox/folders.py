"""The folders of an inbox: where they lie, and who may enter them."""

from pathlib import Path
from tempfile import TemporaryFile

from service.errors import StartupError
from service.system.passing import may_pass
from service.system.private_files import check_private


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
                check_inbox_private(directory)
                # A file without a name, where the system knows such.
                TemporaryFile(dir=directory).close()
    except OSError as error:
        raise cannot_write(folder, error) from None


def cannot_write(folder: Path, error: OSError) -> StartupError:
    """Return why an inbox cannot be written, and whether that may pass."""
    reason = f"the inbox {folder} cannot be written: {error.strerror}"
    return StartupError(reason, may_pass=may_pass(error))


def check_inbox_private(folder: Path) -> None:
    """Refuse a folder of an inbox that others may enter; raises as `check_private`."""
    check_private(folder, "the inbox", "images of patients")
