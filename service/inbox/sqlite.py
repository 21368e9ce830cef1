"""The inbox's database as one SQLite file, in which whatever is committed is on the disk."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import structlog

from service.errors import StartupError
from service.inbox.database import Connection, Database, Row, Table
from service.inbox.steady_time import SteadyTime
from service.system import sqlite_file
from service.system.passing import may_pass
from service.system.sqlite_file import FileReplaced

log = structlog.get_logger("mammoseg")

VERSION = 3

BUSY_S = 30.0
"""How long to wait for another process's transaction; each takes milliseconds."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""A commit waits until the log is on the disk: an answer may promise what it holds."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT,
    size INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    received REAL NOT NULL,
    changed REAL NOT NULL,
    UNIQUE (sop_instance_uid, digest)
);
DROP INDEX IF EXISTS entry_by_state;
CREATE INDEX IF NOT EXISTS entry_in_turn ON entry (state);
CREATE INDEX IF NOT EXISTS entry_by_file ON entry (digest) WHERE size > 0;
CREATE TABLE IF NOT EXISTS result (
    id INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES entry ON DELETE CASCADE,
    kind TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    UNIQUE (entry, kind)
);
CREATE INDEX IF NOT EXISTS result_by_file ON result (digest) WHERE size > 0;
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY,
    result INTEGER NOT NULL REFERENCES result ON DELETE CASCADE,
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    UNIQUE (result, destination)
);
DROP INDEX IF EXISTS delivery_by_state;
CREATE INDEX IF NOT EXISTS delivery_in_turn ON delivery (state, destination);
CREATE TABLE IF NOT EXISTS commitment (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES delivery ON DELETE CASCADE,
    transaction_uid TEXT NOT NULL,
    outcome TEXT,
    due REAL NOT NULL,
    UNIQUE (delivery, transaction_uid)
);
CREATE INDEX IF NOT EXISTS commitment_by_transaction ON commitment (transaction_uid);
CREATE TABLE IF NOT EXISTS untold (
    entry INTEGER PRIMARY KEY REFERENCES entry ON DELETE CASCADE,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS report (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    source_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS report_by_source ON report (source_uid);
"""


def check_sqlite(file: Path) -> None:
    """Check that a database that is there, if one is, can be opened; nothing of it is changed.

    Raises
    ------
    StartupError
        It cannot be.
    """
    try:
        if file.exists():
            sqlite_file.check(file, VERSION)
    except (OSError, sqlite3.Error) as error:
        raise _cannot_open(file, error) from None


class SqliteDatabase(Database):
    """A connection that threads share; other processes may have the file open, too.

    Where another file takes the name, a backup that is put back as a rule, that one is opened; or
    everything fails once rows of the first are worked on (`hold`): their ids are others' there.

    Parameters
    ----------
    file
        Made when it is not there. Not on a network share: write-ahead logging needs shared memory.

    Raises
    ------
    StartupError
        It cannot be opened, or was written by a later version of the service.
    """

    def __init__(self, file: Path) -> None:
        self._lock, self._file, self._is_held = threading.Lock(), file, False
        self._time = SteadyTime()
        schema = sqlite_file.Schema(PRAGMAS, SCHEMA, VERSION)
        try:
            self._open = sqlite_file.SqliteFile(file, BUSY_S, schema)
        except (OSError, sqlite3.Error) as error:
            raise _cannot_open(file, error) from None

    def now(self) -> float:
        """Return the time by which the database count, seconds since 1970; see `SteadyTime`."""
        return self._time.now()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection within a transaction; committed at the end, undone by an error.

        Raises
        ------
        sqlite3.Error
            It was not committed, or where nobody will find it.
        """
        with self._lock:
            self._follow()
            with self._open.transaction() as connection:
                yield connection

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """Return the rows of a query."""
        with self._lock:
            self._follow()
            return self._open.connection.execute(query, parameters).fetchall()

    def hold(self) -> None:
        """Open what has the name now, and fail from then on where it becomes another file's."""
        with self._lock:
            self._is_held = False
            self._follow()
            self._is_held = True

    def prove_writable(self) -> None:
        """Write, and change nothing; the error of a write is raised."""
        with self.transaction() as connection:
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _follow(self) -> None:
        """Open the file that has taken the name, if one has; never one that is only being made."""
        if not self._open.is_replaced:
            return
        try:
            if self._is_held or self._file.stat().st_size == 0:
                raise FileReplaced
            self._open.follow()
        except (OSError, sqlite3.Error) as error:
            log.error("inbox-database-replaced", error=type(error).__name__)
            raise FileReplaced from None
        log.warning("inbox-database-opened-anew")

    def insert(self, connection: Connection, query: str, parameters: Sequence[Any]) -> int:
        """Insert a row, within a transaction; returns its id."""
        # RETURNING would need SQLite 3.35.
        return cast(int, cast(sqlite3.Cursor, connection.execute(query, parameters)).lastrowid)

    # One service works on the folder, under a lock, and one transaction writes at a time: there is
    # nobody to keep from a row.

    def lock_uids(self, connection: Connection, sop_instance_uids: Iterable[str]) -> None:
        """Do nothing."""

    def lock_entry(self, connection: Connection, id: int) -> None:
        """Do nothing."""

    def free(self, table: Table) -> str:
        """Return a condition of SQL that holds for every row."""
        return "TRUE"

    def claim(self, table: Table, query: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Return the rows of a query."""
        return self.rows(query, parameters)

    def check(self, connection: Connection, table: Table, id: int) -> None:
        """Do nothing."""

    def release(self, connection: Connection, table: Table, id: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._open.close()


def _cannot_open(file: Path, error: OSError | sqlite3.Error) -> StartupError:
    reason = error.strerror if isinstance(error, OSError) else error
    said = f"the inbox's database {file} cannot be opened: {reason}"
    return StartupError(said, may_pass=may_pass(error))
