"""Tells when files have changed, so that a running service reads them again."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SETTLED_NS = 2 * 10**9
"""A file that changed less than so long ago may be read again: a second change within one step of
the clock leaves the same time behind."""


class Look(NamedTuple):
    """What a look at the files says.

    Attributes
    ----------
    is_due
        They may hold something else than when they were read last.
    has_changed
        They certainly were touched since the last look.
    """

    is_due: bool
    has_changed: bool


class FileWatch:
    """Remembers the state of files, links followed: content, place, owner and rights.

    Parameters
    ----------
    paths
        Of the files; they need not be there.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._seen, self._settled = self._state()

    def look(self) -> Look:
        """Compare the files with the last look."""
        before, settled = self._seen, self._settled
        self._seen, self._settled = self._state()
        changed = self._seen != before
        return Look(changed or not settled, changed)

    def mark_unread(self) -> None:
        """Let the next look be due: what the last one found could not be read, or made no sense.

        That may mend itself without a trace in the files' state: a disk, a network file system, a
        process's descriptors.
        """
        self._settled = False

    def _state(self) -> tuple[list[tuple[int, ...] | None], bool]:
        states: list[tuple[int, ...] | None] = []
        settled = True
        for path in self._paths:
            try:
                state = os.stat(path)
            except OSError:
                states.append(None)
                continue
            # `chmod` and `chown` change the last of these alone, and nobody can set it back.
            times = (state.st_mtime_ns, state.st_ctime_ns)
            states.append((*times, state.st_ino, state.st_size, state.st_dev))
            settled &= all(abs(time.time_ns() - at) > SETTLED_NS for at in times)
        return states, settled
