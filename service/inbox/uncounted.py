"""Attempts that were counted before they were made, and that failed for nothing of the instance's.

They are taken back. Where disk or database take not even that, they are remembered: here, and by
an empty file for the next process, since a disk that takes no byte more still takes a name as a
rule.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from service.inbox.database import DatabaseFails, LeaseLost
from service.system.sqlite_file import FileReplaced

STORE_FAULTS = (OSError, sqlite3.Error, DatabaseFails)
"""What disk and database fail with: an attempt that ends by that says nothing of its instance."""

PREFIX = "uncounted"


class Uncounted:
    """The attempts of one kind of work; for several threads.

    Parameters
    ----------
    folder
        For notes; None where another process must not take them back: replicas, whose database is
        on no disk of theirs.
    kind
        Tells those of other work from these in the names of notes.
    undo
        Takes back an attempt, given the instance's id and the attempt's number; does nothing where
        the instance has another number of attempts by now, or is not waiting any more.
    """

    def __init__(self, folder: Path | None, kind: str, undo: Callable[[int, int], None]) -> None:
        self._folder, self._kind, self._undo = folder, kind, undo
        self._owed: set[tuple[int, int]] = set()
        self._is_looked_for = folder is None

    def add(self, id: int, attempt: int) -> None:
        """Take an attempt back, now or as soon as that can be written; raises nothing."""
        try:
            self._undo(id, attempt)
        except (LeaseLost, FileReplaced):
            # It is another's row.
            return
        except STORE_FAULTS:
            self._owed.add((id, attempt))
            if self._folder is not None:
                with contextlib.suppress(OSError):
                    self._note(id, attempt).touch()

    def settle(self) -> None:
        """Take back what could not be: of this process, and once of those before it.

        Raises
        ------
        Exception
            It still cannot be written.
        """
        if not self._is_looked_for and self._folder is not None:
            self._owed.update(self._noted(self._folder))
            self._is_looked_for = True
        for id, attempt in sorted(self._owed):
            with contextlib.suppress(LeaseLost):
                self._undo(id, attempt)
            self._owed.discard((id, attempt))
            if self._folder is not None:
                self._note(id, attempt).unlink(missing_ok=True)

    def _note(self, id: int, attempt: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{PREFIX}-{self._kind}-{id}-{attempt}"

    def _noted(self, folder: Path) -> set[tuple[int, int]]:
        found = set()
        for path in folder.glob(f"{PREFIX}-{self._kind}-*"):
            id, attempt = path.name.split("-")[2:]
            found.add((int(id), int(attempt)))
        return found
