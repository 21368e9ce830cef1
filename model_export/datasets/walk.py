"""Every file of a data set's folder."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those below it, links followed, hidden ones left out."""
    walked: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in walked:  # A link that leads back up.
            folders.clear()
            continue
        walked.add(real)
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        paths = (Path(here, name) for name in names if not name.startswith("."))
        yield from (path for path in paths if path.exists())
