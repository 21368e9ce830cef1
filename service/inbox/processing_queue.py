"""What is to be processed: which instance is next, and what came of it."""

from collections.abc import Collection, Sequence

from service.inbox.columns import ENTRY, entry_of
from service.inbox.database import Database
from service.inbox.report_queue import enter_untold
from service.inbox.result_rows import enter_results
from service.inbox.states import DEAD, RECEIVED, REFUSED, Entry, State, StoredResult


class ProcessingQueue:
    """Instances that are to be processed.

    Parameters
    ----------
    database
        The inbox's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, busy: Collection[int], limit: int) -> list[Entry]:
        """Claim instances whose time has come, oldest first, without those that are worked on.

        The first attempt's has come whatever the clock, which may be set back, says of `due`; the
        oldest is the one that was entered first, whatever it says of that.
        """
        rows = self._database.claim(
            "entry",
            f"""SELECT {ENTRY} FROM entry WHERE state = ? AND (due <= ? OR attempts = 0)
            AND {self._database.free("entry")} ORDER BY id LIMIT ?""",
            (RECEIVED, self._database.now(), limit + len(busy)),
        )
        return [entry for entry in map(entry_of, rows) if entry.id not in busy][:limit]

    def oldest_s(self) -> float:
        """Return for how long the oldest has waited, in seconds; 0 where none waits."""
        (row,) = self._database.rows("SELECT min(changed) FROM entry WHERE state = ?", (RECEIVED,))
        return 0.0 if row[0] is None else max(0.0, self._database.now() - row[0])

    def begin(self, id: int, delay_s: float) -> None:
        """Count an attempt before it is made, and put off the next: it may take the process."""
        with self._database.transaction() as connection:
            self._database.check(connection, "entry", id)
            connection.execute(
                "UPDATE entry SET attempts = attempts + 1, due = ? WHERE id = ?",
                (self._database.now() + delay_s, id),
            )

    def processed(
        self, id: int, results: Sequence[StoredResult], destinations: Sequence[str]
    ) -> None:
        """Enter the results of an instance, which are on the disk, and queue their delivery."""
        now = self._database.now()
        with self._database.transaction() as connection:
            self._database.release(connection, "entry", id)
            enter_results(self._database, connection, id, results, destinations, now)

    def refused(self, id: int, code: str, reason: str | None = None) -> None:
        """Enter that the model must not judge the instance; with a reason, its study is told."""
        self._stuck(id, REFUSED, code, reason)

    def dead(self, id: int, code: str, reason: str | None = None) -> None:
        """Enter that no further attempt is made; with a reason, its study is told."""
        self._stuck(id, DEAD, code, reason)

    def failed(self, id: int, code: str, delay_s: float) -> None:
        """Enter that an attempt failed, and when the next may be made."""
        with self._database.transaction() as connection:
            self._database.release(connection, "entry", id)
            connection.execute(
                "UPDATE entry SET code = ?, due = ? WHERE id = ?",
                (code, self._database.now() + delay_s, id),
            )

    def put_back(self, id: int) -> None:
        """Let go of an instance that was claimed and not begun."""
        if self._database.lease is not None:
            with self._database.transaction() as connection:
                self._database.release(connection, "entry", id)

    def undo(self, id: int, attempt: int) -> None:
        """Take back an attempt that failed for nothing of the instance's own; it is due at once.

        Nothing changes where it is not the latest, or the instance does not wait any more.
        """
        with self._database.transaction() as connection:
            self._database.release(connection, "entry", id)
            connection.execute(
                """UPDATE entry SET attempts = attempts - 1, due = ?
                WHERE id = ? AND attempts = ? AND state = ?""",
                (self._database.now(), id, attempt, RECEIVED),
            )

    def source_gone(self, id: int) -> None:
        """Enter that the instance's file takes no space any more; to be deleted after this."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE entry SET size = 0 WHERE id = ?", (id,))

    def _stuck(self, id: int, state: State, code: str, reason: str | None) -> None:
        now = self._database.now()
        with self._database.transaction() as connection:
            self._database.release(connection, "entry", id)
            connection.execute(
                "UPDATE entry SET state = ?, code = ?, changed = ? WHERE id = ?",
                (state, code, now, id),
            )
            if reason is not None:
                enter_untold(connection, id, reason, now)
