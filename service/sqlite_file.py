"""SQLite files of the service: made for their owner alone, brought up to a version, and changed."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class LaterVersion(sqlite3.DatabaseError):
    """A file that a later version of the service wrote."""


def open_private(file: Path, busy_s: float) -> sqlite3.Connection:
    """Open a file, for several threads under a lock of theirs; it is made when it is not there.

    Parameters
    ----------
    file
        Not on a network share, where write-ahead logging finds no shared memory.
    busy_s
        How long to wait for another process's transaction, in seconds.

    Raises
    ------
    OSError
        It cannot be made.
    sqlite3.Error
        It cannot be opened.
    """
    # SQLite gives its further files the same mode.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(file, timeout=busy_s, isolation_level=None, check_same_thread=False)


def check(file: Path, version: int) -> None:
    """Check that a file that is there could be opened and prepared; nothing of it is changed.

    Parameters
    ----------
    version
        The latest schema that is known.

    Raises
    ------
    OSError
        It cannot be written.
    sqlite3.Error
        It is no SQLite file, or a later version of the service wrote it.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    # Immutable: no lock is asked for and no file made, though another process works on it.
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        _check_version(connection, version)
    finally:
        connection.close()


def prepare(
    connection: sqlite3.Connection, pragmas: Sequence[str], schema: str, version: int
) -> None:
    """Set a connection up, and make what there is not of the tables.

    Parameters
    ----------
    pragmas
        As `journal_mode=WAL`.
    schema
        Statements of SQL that may be said again.
    version
        Of the schema; kept in the file.

    Raises
    ------
    LaterVersion
        The file was written by a later version of the service; nothing of it was changed.
    sqlite3.Error
        It is no SQLite file, or the disk fails.
    """
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    _check_version(connection, version)
    connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")


def _check_version(connection: sqlite3.Connection, version: int) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > version:
        raise LaterVersion("it was written by a later version of mammoseg")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run what is in the context as one transaction: committed at the end, undone by an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        # A full disk may have undone it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
