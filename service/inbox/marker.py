"""The marker: a file in the inbox's folder that names the database which the folder belongs to.

Replicas share a PostgreSQL, and a folder on a share. Where the share is not mounted, an empty
folder is in its place: whoever worked with that would find no file of any row, and take them all
for deleted.
"""

import errno
import os
from pathlib import Path

MARKER = "inbox.id"


class FolderFails(OSError):
    """The inbox's folder as a whole is of no use now: nothing follows of any file that is missing.

    Parameters
    ----------
    number
        As of `errno`: why.
    """

    def __init__(self, number: int = errno.ENOENT) -> None:
        super().__init__(number, f"the inbox's folder cannot be used: {os.strerror(number)}")


def read_marker(folder: Path) -> str | None:
    """Return the identity of the database that a folder belongs to; None where it has no marker.

    Raises
    ------
    OSError
        The folder cannot be read.
    """
    try:
        # An operator may have written it.
        return (folder / MARKER).read_text("ascii", "replace").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
