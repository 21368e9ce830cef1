"""What the inbox asks of its database: SQLite for one service, PostgreSQL for several replicas.

Both are asked in the same SQL, with `?` where a value goes. What differs is behind the methods of
`Database`: where several replicas work on one inbox, a row that is worked on has an owner, and
whoever is not its owner any more writes nothing (see `service.inbox.replica_lease`).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

Row = Sequence[Any]
"""The columns of a row, in the order that they were asked for."""

Table = Literal["entry", "delivery", "untold"]
"""Tables whose rows are worked on, by one replica at a time."""


class DatabaseFails(Exception):
    """The database did not do what it was asked: nothing may be promised.

    Parameters
    ----------
    code
        Why: SQLSTATE as the database says it, or a word of ours; never its message.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LeaseLost(Exception):
    """What was claimed is another replica's by now: this one must neither send nor write it."""


class Lease(Protocol):
    """The life of a replica, as the others see it."""

    def start(self, destinations: Collection[str]) -> None:
        """Begin it, and renew it from then on."""

    def stop(self) -> None:
        """End it: what this replica had claimed is free."""

    def lead(self) -> bool:
        """Say whether this replica, and no other, is to keep house."""

    def resign(self) -> None:
        """Let another replica keep house, if this one does."""

    def era(self) -> Hashable:
        """Return what is another once the database may have lost what it had committed."""

    def destinations(self) -> set[str]:
        """Return the names of the destinations of all replicas that are alive."""


class Cursor(Protocol):
    """The rows of a query, or how many a statement changed."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> Sequence[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What is asked within a transaction."""

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run a statement."""

    def executemany(self, query: str, parameters: Iterable[Sequence[Any]], /) -> object:
        """Run a statement for each of several parameters."""


class Database(ABC):
    """A database that threads share.

    Attributes
    ----------
    lease
        Of this replica; None where one service at a time works on the inbox.
    """

    lease: Lease | None = None

    @property
    def is_away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return False

    @abstractmethod
    def now(self) -> float:
        """Return the time by which the database counts, seconds since 1970."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """Yield a connection within a transaction; committed at the end, undone by an error."""

    @abstractmethod
    def rows(self, query: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """Return the rows of a query."""

    @abstractmethod
    def insert(self, connection: Connection, query: str, parameters: Sequence[Any]) -> int:
        """Insert a row, within a transaction; returns its id."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    @abstractmethod
    def hold(self) -> None:
        """Be the database whose rows are worked on from now on: another must not take its place."""

    @abstractmethod
    def prove_writable(self) -> None:
        """Write, and change nothing; the error of a write is raised."""

    def earliest_now(self) -> float:
        """Return `now`, or the system clock's time where that is earlier."""
        return min(self.now(), time.time())

    def bound_waits(self, longest_s: float) -> None:
        """Bring near what is due after the longest wait from now, or changed later than now.

        A clock was set back since it was entered, or was ahead when it was.
        """
        now = self.now()
        due = now + longest_s
        with self.transaction() as connection:
            for table in ("entry", "delivery", "untold"):
                connection.execute(f"UPDATE {table} SET due = ? WHERE due > ?", (due, due))
            connection.execute("UPDATE entry SET changed = ? WHERE changed > ?", (now, now))

    @abstractmethod
    def lock_uids(self, connection: Connection, sop_instance_uids: Iterable[str]) -> None:
        """Let nobody else enter instances of these UIDs before the end of the transaction."""

    @abstractmethod
    def lock_entry(self, connection: Connection, id: int) -> None:
        """Let nobody else settle what becomes of an instance before the end of the transaction."""

    @abstractmethod
    def free(self, table: Table) -> str:
        """Return a condition of SQL: no other replica works on the row."""

    @abstractmethod
    def claim(self, table: Table, query: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Return the rows of a query, the first column being the id in `table`, as their owner."""

    @abstractmethod
    def check(self, connection: Connection, table: Table, id: int) -> None:
        """Hold on to a row that was claimed, to the end of the transaction.

        Raises
        ------
        LeaseLost
            It is another replica's by now.
        """

    @abstractmethod
    def release(self, connection: Connection, table: Table, id: int) -> None:
        """Let go of a row that was claimed; what the transaction does beside is done as its owner.

        Raises
        ------
        LeaseLost
            It is another replica's by now.
        """
