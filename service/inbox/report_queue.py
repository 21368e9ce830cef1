"""What is to be told in its study: instances that were not analysed, and the reports on them.

An instance is entered here in the transaction that refuses it or gives it up, and leaves in the one
that queues its report: a kill in between makes the same report again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.inbox.database import Connection, Database, LeaseLost
from service.inbox.instance_store import ALL
from service.inbox.result_rows import queue_results
from service.inbox.states import DEAD, NOT_RUN, RECEIVED, REFUSED, StoredResult
from service.outputs.dicom.document import DocumentReference

MAX_REPORTS = 100_000
"""Rows kept of reports that were made, so that what is made of an image later can name them."""


@dataclass(frozen=True, slots=True)
class Untold:
    """An instance that was not analysed, of which there is no report yet.

    Attributes
    ----------
    entry
        Its id.
    reason
        Why, in a sentence that holds nothing read from it.
    attempts
        How often a report was begun.
    """

    entry: int
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Report:
    """A report that lies on the disk.

    Attributes
    ----------
    name
        UID of what it says: of a repeat it is the same.
    reference
        Which document it is.
    result
        Its file.
    """

    name: str
    reference: DocumentReference
    result: StoredResult


def enter_untold(connection: Connection, entry: int, reason: str, now: float) -> None:
    """Enter that a report is to be made of an instance, within the transaction that stops it."""
    # Anew, and nobody's: whoever works on a report of what was before has lost it.
    connection.execute("DELETE FROM untold WHERE entry = ?", (entry,))
    connection.execute(
        "INSERT INTO untold (entry, reason, due) VALUES (?, ?, ?)", (entry, reason, now)
    )


class ReportQueue:
    """Instances whose studies are to be told that they were not analysed.

    Parameters
    ----------
    database
        The inbox's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self) -> Untold | None:
        """Claim the one that was entered first of those whose time has come.

        None is due while an instance of the same UID waits to be processed: what comes of that
        decides what is to be said.
        """
        rows = self._database.claim(
            "untold",
            f"""SELECT untold.entry, reason, untold.attempts FROM untold
            JOIN entry ON entry.id = untold.entry
            WHERE (untold.due <= ? OR untold.attempts = 0) AND {self._database.free("untold")}
            AND NOT EXISTS (SELECT 1 FROM entry AS other
                WHERE other.sop_instance_uid = entry.sop_instance_uid AND other.state = ?)
            ORDER BY untold.entry LIMIT 1""",
            (self._database.now(), RECEIVED),
        )
        return Untold(*rows[0]) if rows else None

    def all_untold(self) -> list[int]:
        """Return the ids of all that wait for a report."""
        return [row[0] for row in self._database.rows("SELECT entry FROM untold ORDER BY entry")]

    def claim_all(self) -> list[int]:
        """Claim all that wait for a report, due or not; returns their ids."""
        rows = self._database.claim(
            "untold",
            f"SELECT entry FROM untold WHERE {self._database.free('untold')} ORDER BY entry",
            (),
        )
        return [row[0] for row in rows]

    def is_due_in(
        self, study: str, images: set[str] | None, has_source: Callable[[str], bool]
    ) -> bool:
        """Say whether a study has an instance, of these or any, that may still give a report."""
        rows = self._database.rows(
            """SELECT sop_instance_uid, digest FROM entry WHERE study_instance_uid = ?
            AND (state = ? OR id IN (SELECT entry FROM untold))""",
            (study, RECEIVED),
        )
        return any(has_source(digest) for uid, digest in rows if images is None or uid in images)

    def begin(self, entry: int, delay_s: float) -> None:
        """Count an attempt before it is made, and put off the next: it may take the process.

        Raises
        ------
        LeaseLost
            It is another replica's by now.
        """
        with self._database.transaction() as connection:
            self._database.check(connection, "untold", entry)
            connection.execute(
                "UPDATE untold SET attempts = attempts + 1, due = ? WHERE entry = ?",
                (self._database.now() + delay_s, entry),
            )

    def undo(self, entry: int, attempt: int) -> None:
        """Take back an attempt that failed for nothing of the instance's own; it is due at once.

        Nothing changes where it is not the latest.

        Raises
        ------
        LeaseLost
            It is another replica's by now.
        """
        with self._database.transaction() as connection:
            self._database.release(connection, "untold", entry)
            connection.execute(
                """UPDATE untold SET attempts = attempts - 1, due = ?
                WHERE entry = ? AND attempts = ?""",
                (self._database.now(), entry, attempt),
            )

    def needs_none(self, entry: int, kind: str) -> bool:
        """Say whether the report is there already, or another file of the same UID was analysed."""
        return bool(
            self._database.rows(
                """SELECT 1 FROM result WHERE (entry = ? AND kind = ?) OR (kind NOT LIKE ?
                AND entry IN (SELECT other.id FROM entry AS other JOIN entry
                    ON other.sop_instance_uid = entry.sop_instance_uid
                    WHERE entry.id = ? AND other.id <> entry.id)) LIMIT 1""",
                (entry, kind, f"{NOT_RUN}%", entry),
            )
        )

    def predecessors(
        self, sop_instance_uid: str, before: str | None = None
    ) -> tuple[DocumentReference, ...]:
        """Return the reports that say that an image was not analysed, the oldest first.

        Parameters
        ----------
        sop_instance_uid
            The image's.
        before
            Name of a report; only those that were made before it, if it was made.
        """
        rows = self._database.rows(
            """SELECT sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid
            FROM report WHERE source_uid = ?
            AND id < coalesce((SELECT id FROM report WHERE name = ?), ?) ORDER BY id""",
            (sop_instance_uid, before, ALL),
        )
        return tuple(DocumentReference(*row) for row in rows)

    def told(
        self, entry: int, report: Report, destinations: Sequence[str], *, source_gone: bool
    ) -> bool:
        """Enter a report, which is on the disk, and queue its delivery.

        False when the instance was begun anew meanwhile, or another of its UID came: then there is
        nothing to report yet. `source_gone`: its file takes no space any more.

        Raises
        ------
        LeaseLost
            Another replica makes the report by now, or has: its file may be the same.
        """
        now, reference = self._database.now(), report.reference
        with self._database.transaction() as connection:
            if not self._hold(connection, entry, report.result.digest):
                return False
            stopped = connection.execute(
                """SELECT sop_instance_uid FROM entry WHERE id = ? AND state IN (?, ?)
                AND id IN (SELECT entry FROM untold) AND NOT EXISTS (SELECT 1 FROM entry AS other
                WHERE other.sop_instance_uid = entry.sop_instance_uid AND other.state = ?)""",
                (entry, REFUSED, DEAD, RECEIVED),
            ).fetchone()
            if stopped is None:
                return False
            connection.execute(
                """INSERT INTO report (name, source_uid, sop_class_uid, sop_instance_uid,
                series_instance_uid, study_instance_uid) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO NOTHING""",
                (
                    report.name,
                    stopped[0],
                    reference.sop_class_uid,
                    reference.sop_instance_uid,
                    reference.series_instance_uid,
                    reference.study_instance_uid,
                ),
            )
            connection.execute(
                "DELETE FROM report WHERE id <= (SELECT max(id) FROM report) - ?", (MAX_REPORTS,)
            )
            queue_results(self._database, connection, entry, [report.result], destinations, now)
            _leave(connection, entry, source_gone=source_gone)
        return True

    def drop(self, entry: int, *, source_gone: bool) -> None:
        """Enter that no report is made; `source_gone` and errors as of `told`."""
        with self._database.transaction() as connection:
            self._database.lock_entry(connection, entry)
            self._database.release(connection, "untold", entry)
            _leave(connection, entry, source_gone=source_gone)

    def _hold(self, connection: Connection, entry: int, digest: str) -> bool:
        """Let go of one that was claimed, and keep others from its instance and its UID.

        False when nobody waits for its report any more, nor has this one.
        """
        uid = "SELECT sop_instance_uid FROM entry WHERE id = ?"
        self._database.lock_uids(connection, [row[0] for row in connection.execute(uid, (entry,))])
        self._database.lock_entry(connection, entry)
        waits = "SELECT 1 FROM untold WHERE entry = ?"
        if connection.execute(waits, (entry,)).fetchone() is None:
            has_it = "SELECT 1 FROM result WHERE digest = ?"
            if connection.execute(has_it, (digest,)).fetchone() is not None:
                raise LeaseLost
            return False
        self._database.release(connection, "untold", entry)
        return True


def _leave(connection: Connection, entry: int, *, source_gone: bool) -> None:
    connection.execute("DELETE FROM untold WHERE entry = ?", (entry,))
    if source_gone:
        connection.execute("UPDATE entry SET size = 0 WHERE id = ?", (entry,))
