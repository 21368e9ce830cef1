"""The lease by which a replica owns what it works on, renewed while it lives.

Each replica has a row with a number of its own and the time, by the database's clock, until which
it counts as alive. A row that it claims bears that number. Once the lease has run out, by death, by
a pause, or by a network that is cut, others may claim the row; whoever comes back finds another
number on it, and writes nothing (`Database.check`, `Database.release`). A number is never used
again: a replica whose lease ran out goes on under a new one.
"""

import json
import threading
from collections.abc import Collection

import structlog

from service.inbox.database import Connection, Database, DatabaseFails

log = structlog.get_logger("mammoseg")

CLOCK = "extract(epoch FROM clock_timestamp())::double precision"
"""The time by the database's clock, seconds since 1970."""

RENEWALS = 3
"""Within the time of a lease: so many in vain, and it is lost."""

PROBE_S = 1.0
"""From one try to the next while the database does not answer."""

NOBODY = 0


def alive(column: str) -> str:
    """Return a condition of SQL: the replica whose number is in a column is alive."""
    return (
        f"EXISTS (SELECT 1 FROM replica WHERE replica.id = {column} AND replica.expires > {CLOCK})"
    )


class ReplicaLease:
    """One replica's lease; for several threads.

    Parameters
    ----------
    database
        The inbox's.
    lease_s
        Its time, in seconds.

    Attributes
    ----------
    id
        The replica's number; `NOBODY` before it has one.
    """

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database, self._lease_s = database, lease_s
        self.id = NOBODY
        self._lives = 0
        self._destinations = "[]"
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, destinations: Collection[str]) -> None:
        """Take a number, and renew the lease from then on.

        Raises
        ------
        DatabaseFails
            The database does not answer.
        """
        self._destinations = json.dumps(sorted(destinations))
        self._renew()
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the lease, or leave it to run out where the database does not answer."""
        self._ended.set()
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        ended, self.id = self.id, NOBODY
        try:
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM replica WHERE id = ?", (ended,))
        except DatabaseFails as error:
            log.warning("inbox-lease-left", code=error.code)

    def lead(self) -> bool:
        """Say whether this replica, and no other, is to keep house."""
        ((leads, free),) = self._database.rows(
            f"SELECT replica = ?, replica IS NULL OR NOT {alive('leader.replica')} FROM leader",
            (self.id,),
        )
        if leads or not free:
            return bool(leads) and not free
        with self._database.transaction() as connection:
            taken = connection.execute(
                f"""UPDATE leader SET replica = ?
                WHERE (replica IS NULL OR NOT {alive("leader.replica")}) AND {alive("?")}""",
                (self.id, self.id),
            ).rowcount
        return taken == 1

    def resign(self) -> None:
        """Let another replica keep house, if this one does."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE leader SET replica = NULL WHERE replica = ?", (self.id,))

    def era(self) -> tuple[int, str]:
        """Return what is another once the database may have lost what it had committed.

        That is once this lease was lost, and once another server answers, or the same was started
        anew: a standby that takes over within the time of a lease may lack the last moments, too.
        """
        # Before the question: a lease that is lost meanwhile is seen by the next one.
        lives = self._lives
        ((started,),) = self._database.rows("SELECT pg_postmaster_start_time()::text")
        return lives, started

    def destinations(self) -> set[str]:
        """Return the names of the destinations of all replicas that are alive."""
        rows = self._database.rows(f"SELECT destinations FROM replica WHERE expires > {CLOCK}")
        return {name for (names,) in rows for name in json.loads(names)}

    def _keep(self) -> None:
        pause_s = self._lease_s / RENEWALS
        while not self._ended.wait(pause_s):
            pause_s = self._lease_s / RENEWALS
            try:
                self._renew()
            except DatabaseFails as error:
                log.warning("inbox-lease-not-renewed", code=error.code)
                pause_s = min(pause_s, PROBE_S)

    def _renew(self) -> None:
        with self._database.transaction() as connection:
            renewed = connection.execute(
                f"""UPDATE replica SET expires = {CLOCK} + ?, destinations = ?
                WHERE id = ? AND expires > {CLOCK}""",
                (self._lease_s, self._destinations, self.id),
            ).rowcount
            id = self.id if renewed else self._begin(connection)
        # Counted, since a database that fell back may give the same number again.
        self._lives += not renewed
        if id != self.id and self.id != NOBODY:
            log.warning("inbox-lease-lost", before=self.id, now=id)
        self.id = id

    def _begin(self, connection: Connection) -> int:
        connection.execute(f"DELETE FROM replica WHERE expires <= {CLOCK}")
        return self._database.insert(
            connection,
            f"INSERT INTO replica (expires, destinations) VALUES ({CLOCK} + ?, ?)",
            (self._lease_s, self._destinations),
        )
