"""The inbox's database in PostgreSQL, shared by several replicas."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import structlog

from service.errors import StartupError
from service.inbox.database import (
    Connection,
    Database,
    DatabaseFails,
    LeaseLost,
    Row,
    Table,
)
from service.inbox.postgres_check import DURABLE, FOUND, cannot_open, check_durable, version_of
from service.inbox.postgres_connection import BrokenConnection, PostgresConnection
from service.inbox.postgres_schema import SCHEMA, STEPS, VERSION
from service.inbox.replica_lease import CLOCK, NOBODY, ReplicaLease, alive
from service.postgres_options import PostgresOptions

log = structlog.get_logger("mammoseg")

MAX_CONNECTIONS = 8
"""Of one process at once; whoever wants one more waits."""

MAX_IDLE = 4

START_S = 30.0
"""How long a start waits for a server that does not answer: it may be starting, too."""

CLOCK_S = 10.0
"""For so long the server's clock is taken to go as ours does."""

KEYS: dict[Table, str] = {"entry": "id", "delivery": "id", "untold": "entry"}
"""The column that names a row of a table."""

MIGRATION_LOCK = 0x6D616D6D
UID_LOCKS = 64
"""Locks that SOP Instance UIDs share: one each would be more than the server has room for."""


class PostgresDatabase(Database):
    """A pool of connections to one database.

    Parameters
    ----------
    options
        How to connect.
    lease_s
        For how long a replica that says nothing keeps what it works on, in seconds.

    Raises
    ------
    StartupError
        It cannot be reached, or was written by a later version of the service, or does not put on
        the disk what it commits.
    """

    def __init__(self, options: PostgresOptions, lease_s: float) -> None:
        self._options, self._idle_s = options, lease_s
        self._lock, self._slots = threading.Lock(), threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._idle: list[PostgresConnection] = []
        self._offset, self._looked = 0.0, float("-inf")
        self._is_away = self._closed = False
        self.lease: ReplicaLease = ReplicaLease(self, lease_s)
        try:
            self._prepare()
        except (DatabaseFails, OSError, StartupError) as error:
            self.close()
            if isinstance(error, StartupError):
                raise
            raise cannot_open(error) from None

    @property
    def is_away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return self._is_away

    def now(self) -> float:
        """Return the time by the server's clock, seconds since 1970."""
        before = time.monotonic()
        if before - self._looked > CLOCK_S:
            ((clock,),) = self.rows(f"SELECT {CLOCK}")
            after = time.monotonic()
            self._offset, self._looked = clock - (before + after) / 2, after
        return self._offset + time.monotonic()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection within a transaction; committed at the end, undone by an error.

        Raises
        ------
        DatabaseFails
            It was not committed, or may have been: the connection broke as it was.
        """
        with self._connection() as connection:
            try:
                yield connection
            except BrokenConnection:
                raise
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """Return the rows of a query."""
        with self.transaction() as connection:
            return connection.execute(query, parameters).fetchall()

    def insert(self, connection: Connection, query: str, parameters: Sequence[Any]) -> int:
        """Insert a row, within a transaction; returns its id."""
        return int(connection.execute(f"{query} RETURNING id", parameters).fetchone()[0])

    def lock_uids(self, connection: Connection, sop_instance_uids: Iterable[str]) -> None:
        """Let nobody else enter instances of these UIDs before the end of the transaction."""
        # In one order, so that two transactions do not wait for each other.
        for number in sorted({_lock_of(uid) for uid in sop_instance_uids}):
            connection.execute("SELECT pg_advisory_xact_lock(?, ?)", (MIGRATION_LOCK, number))

    def lock_entry(self, connection: Connection, id: int) -> None:
        """Let nobody else settle what becomes of an instance before the end of the transaction."""
        connection.execute("SELECT 1 FROM entry WHERE id = ? FOR UPDATE", (id,))

    def free(self, table: Table) -> str:
        """Return a condition of SQL: no other replica works on the row."""
        owner = f"{table}.owner"
        return f"({owner} IS NULL OR {owner} = {self.lease.id} OR NOT {alive(owner)})"

    def claim(self, table: Table, query: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Return the rows of a query, the first column being the id in `table`, as their owner."""
        owner = self.lease.id
        if owner == NOBODY:
            return []
        with self.transaction() as connection:
            locked = f"{query} FOR UPDATE OF {table} SKIP LOCKED"
            rows = connection.execute(locked, parameters).fetchall()
            connection.executemany(
                f"UPDATE {table} SET owner = ? WHERE {KEYS[table]} = ?",
                sorted({(owner, row[0]) for row in rows}),
            )
        return rows

    def check(self, connection: Connection, table: Table, id: int) -> None:
        """Hold on to a row that was claimed, to the end of the transaction."""
        if not connection.execute(
            f"SELECT 1 FROM {table} WHERE {KEYS[table]} = ? AND owner = ? FOR UPDATE",
            (id, self.lease.id),
        ).fetchall():
            raise LeaseLost

    def release(self, connection: Connection, table: Table, id: int) -> None:
        """Let go of a row that was claimed; the transaction's other writes are its owner's."""
        if not connection.execute(
            f"UPDATE {table} SET owner = NULL WHERE {KEYS[table]} = ? AND owner = ?",
            (id, self.lease.id),
        ).rowcount:
            raise LeaseLost

    def hold(self) -> None:
        """Do nothing: whatever server answers, rows have owners (`check`)."""

    def prove_writable(self) -> None:
        """Write, and change nothing; the error of a write is raised."""
        with self.transaction() as connection:
            connection.execute("UPDATE leader SET replica = replica")

    def close(self) -> None:
        """Close all connections, each when it is given back."""
        with self._lock:
            self._closed = True
        self._drop_idle()

    @contextmanager
    def _connection(self) -> Iterator[PostgresConnection]:
        """Yield a connection in which a transaction is begun."""
        with self._slots:
            connection = self._begun()
            try:
                yield connection
            except BrokenConnection:
                connection.close()
                self._lose()
                raise
            except BaseException:
                self._give_back(connection)
                raise
            self._give_back(connection)
            self._is_away = False

    def _begun(self) -> PostgresConnection:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                connection.execute("BEGIN")
                return connection
            except DatabaseFails:
                # The server was started anew, as a rule: those that are left are of no use, either.
                connection.close()
                self._drop_idle()
        try:
            connection = PostgresConnection(self._options, self._idle_s)
            connection.execute("BEGIN")
        except DatabaseFails:
            self._lose()
            raise
        return connection

    def _give_back(self, connection: PostgresConnection) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _lose(self) -> None:
        self._is_away = True
        self._drop_idle()

    def _prepare(self) -> None:
        """Bring the tables to this version's, while no other replica does."""
        self._wait_for_server()
        check_durable(self.rows(DURABLE))
        with self.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(?)", (MIGRATION_LOCK,))
            if not connection.execute(
                "SELECT 1 FROM pg_namespace WHERE nspname = ?", (SCHEMA,)
            ).fetchall():
                connection.execute(f"CREATE SCHEMA {SCHEMA}")
            connection.execute("CREATE TABLE IF NOT EXISTS version (number integer NOT NULL)")
            found = version_of(connection.execute(FOUND).fetchall())
            for step in STEPS[found:]:
                connection.execute(step)
            connection.executemany(
                "INSERT INTO version VALUES (?)",
                [(number + 1,) for number in range(found, VERSION)],
            )

    def _wait_for_server(self) -> None:
        ends = time.monotonic() + START_S
        while True:
            try:
                self.rows("SELECT 1")
                return
            except BrokenConnection as error:
                if time.monotonic() > ends:
                    raise
                log.warning("inbox-database-away", code=error.code)
                time.sleep(1.0)


def _lock_of(sop_instance_uid: str) -> int:
    return sha256(sop_instance_uid.encode()).digest()[0] % UID_LOCKS
