"""The inbox as one thing: its files, its database, and what it takes."""

from collections.abc import Callable, Sequence
from typing import Self

import structlog

from service.inbox.commitment_queue import CommitmentQueue
from service.inbox.database import Database, DatabaseFails, Lease
from service.inbox.delivery_queue import DeliveryQueue
from service.inbox.files import Files
from service.inbox.instance_store import InstanceStore
from service.inbox.postgres import PostgresDatabase
from service.inbox.postgres_check import cannot_open
from service.inbox.processing_queue import ProcessingQueue
from service.inbox.quota import DiskQuota
from service.inbox.recovery import Recovered, Recovery
from service.inbox.report_queue import ReportQueue
from service.inbox.sqlite import SqliteDatabase
from service.inbox.states import FINISHED, State
from service.inbox.store_transaction import Bounds, StoreTransaction
from service.inbox.tie import tie
from service.inbox.uncounted import Uncounted
from service.outputs.dicom.codes import MODALITIES
from service.reading.reader import InProcess, Reader
from service.settings import Settings

log = structlog.get_logger("mammoseg")

DATABASE_FILE = "inbox.sqlite3"


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
        self.files, self._database = _opened(settings)
        self.instances = InstanceStore(self._database)
        self.processing = ProcessingQueue(self._database)
        self.deliveries = DeliveryQueue(self._database)
        self.commitments = CommitmentQueue(self._database)
        self.reports = ReportQueue(self._database)
        self.keep_files = settings.inbox_keep_files
        modalities = settings.accept_modalities
        if settings.inbox_report_not_run:
            # What may be a mammogram is refused by a reader, and its study is told; what is none,
            # and would fill studies with reports, is set aside at the door.
            modalities = modalities | MODALITIES.keys()
        self._bounds = Bounds(settings.max_body_mib << 20, modalities)
        self._quota = DiskQuota(self.instances, settings.inbox_mib << 20)

    @property
    def lease(self) -> Lease | None:
        """Of this replica; None where one service at a time works on the inbox."""
        return self._database.lease

    @property
    def is_away(self) -> bool:
        """Whether its database did not answer when it was last asked."""
        return self._database.is_away

    def uncounted(self, kind: str, undo: Callable[[int, int], None]) -> Uncounted:
        """Return what takes back attempts of a kind of work; see `Uncounted`."""
        return Uncounted(self.files.incoming if self.lease is None else None, kind, undo)

    def store_transaction(self, study: str | None = None) -> StoreTransaction:
        """Return a transaction for one sender; `study`: the UID that all instances must have."""
        return StoreTransaction(
            self.files, self.instances, self._quota, self._bounds, study, self.reader
        )

    def purge(
        self,
        states: tuple[State, ...] = FINISHED,
        older_s: float = 0.0,
        ids: Sequence[int] = (),
    ) -> int:
        """Forget instances that have been in one of the states for so long; returns how many.

        Parameters
        ----------
        ids
            Those alone, where there are any.

        Raises
        ------
        FolderFails
            The files cannot be deleted.
        """
        self.files.check()
        sources, results = self.instances.purge(states, older_s, ids)
        for digest in sources:
            self.files.discard_source(digest)
        for digest in results:
            self.files.discard_result(digest)
        return len(sources)

    def prove_writable(self) -> None:
        """Write into folder and database, and nothing new: an error says that one takes nothing."""
        self.files.prove_writable()
        self._database.prove_writable()

    def hold(self) -> None:
        """Let no other database take the place of this one, whose rows are worked on from now."""
        self._database.hold()

    def bound_waits(self, longest_s: float) -> None:
        """Let nothing wait longer than so many seconds from now."""
        self._database.bound_waits(longest_s)

    def recover(self, destinations: list[str]) -> Recovered:
        """Enter what lies in the folder and not in the database; before anything is worked on."""
        return Recovery(
            self.files, self.instances, self._bounds, destinations, self.reader, self.reports
        ).run()

    def sweep(self) -> None:
        """Delete what crashes left behind, and set apart what the database does not know."""
        self.files.discard_stale()
        kept, known = self.instances.digests_held(), self.instances.digests()
        moved = self.files.sweep(kept[0] | kept[1], known[0] | known[1])
        if moved:
            log.warning("inbox-lost", files=moved)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opened(settings: Settings) -> tuple[Files, Database]:
    """Open the folder and its database: the one that is named, or else a file in the folder.

    Raises
    ------
    StartupError
        One cannot be opened, or they do not belong together.
    """
    options = settings.postgres_options()
    if options is None:
        return Files(settings.inbox), SqliteDatabase(settings.inbox / DATABASE_FILE)
    database = PostgresDatabase(options, settings.inbox_lease_s)
    try:
        return tie(database, settings.inbox), database
    except DatabaseFails as error:
        database.close()
        raise cannot_open(error) from None
    except BaseException:
        database.close()
        raise
