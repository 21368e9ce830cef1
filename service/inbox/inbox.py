"""The inbox as one thing: its files, its books, and what it takes."""

from types import TracebackType
from typing import Self

import structlog

from service.inbox.database import Database
from service.inbox.dispatch import Dispatch
from service.inbox.files import Files
from service.inbox.reception import Bounds, Reception
from service.inbox.recovery import Recovered, Recovery
from service.inbox.register import Register
from service.inbox.room import Room
from service.inbox.states import FINISHED, State
from service.inbox.work import Work
from service.reading import InProcess, Reader
from service.settings import Settings

log = structlog.get_logger("mammoseg")

BOOKS = "inbox.sqlite3"


class Inbox:
    """An open inbox; may be used from several threads, and opened by several processes.

    Parameters
    ----------
    settings
        Say where it lies and what it takes.
    reader
        Looks at what arrives, in another process where senders are not trusted; here when None.

    Raises
    ------
    StartupError
        It cannot be opened.
    """

    def __init__(self, settings: Settings, reader: Reader | None = None) -> None:
        self.reader = reader or InProcess(settings.read_limits())
        self.files = Files(settings.inbox)
        self._database = Database(settings.inbox / BOOKS)
        self.register = Register(self._database)
        self.work = Work(self._database)
        self.dispatch = Dispatch(self._database)
        self.keep_files = settings.inbox_keep_files
        self._bounds = Bounds(settings.max_body_mib << 20, settings.accept_modalities)
        self._room = Room(self.register, settings.inbox_mib << 20)

    def reception(self, study: str | None = None) -> Reception:
        """Give a transaction for one sender; `study`: the UID that all instances must have."""
        return Reception(self.files, self.register, self._room, self._bounds, study, self.reader)

    def purge(self, states: tuple[State, ...] = FINISHED, older_s: float = 0.0) -> int:
        """Forget instances that have been in one of the states for so long; gives their number."""
        sources, results = self.register.purge(states, older_s)
        for digest in sources:
            self.files.discard_source(digest)
        for digest in results:
            self.files.discard_result(digest)
        return len(sources)

    def bound_waits(self, longest_s: float) -> None:
        """Let nothing wait longer than so many seconds from now."""
        self._database.bound_waits(longest_s)

    def recover(self, destinations: list[str]) -> Recovered:
        """Enter what lies in the folder and is not in the books; before anything is worked on."""
        return Recovery(self.files, self.register, self._bounds, destinations, self.reader).run()

    def sweep(self) -> None:
        """Delete what crashes left behind, and set apart what the books do not know."""
        self.files.discard_stale()
        kept, known = self.register.digests_held(), self.register.digests()
        moved = self.files.sweep(kept[0] | kept[1], known[0] | known[1])
        if moved:
            log.warning("inbox-lost", files=moved)

    def close(self) -> None:
        """Close the books."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
