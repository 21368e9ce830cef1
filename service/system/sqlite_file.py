"""SQLite files of the service: made for their owner alone, brought up to a version, and changed.

A name may become another file's while the first is open: a backup is put back, a folder emptied.
SQLite goes on to write into what nobody will ever open again, and says nothing. So whoever keeps a
file open asks, before and after each change, whether it still has its name.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.system.sqlite_copy import copied

_Identity = tuple[tuple[int, int] | None, tuple[int, int] | None]
"""Device and inode of a file and of its write-ahead log; None for what is not there."""


class LaterVersion(sqlite3.DatabaseError):
    """A file that a later version of the service wrote."""


class FileReplaced(sqlite3.OperationalError):
    """The name is another file's by now, or no file's: what is written here is lost."""

    def __init__(self) -> None:
        super().__init__("the file was moved, deleted or replaced while it was open")


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file is prepared to be.

    Attributes
    ----------
    pragmas
        As `synchronous=FULL`; write-ahead logging among them.
    statements
        Of SQL, that may be said again.
    version
        Of those; kept in the file.
    """

    pragmas: Sequence[str]
    statements: str
    version: int


class SqliteFile:
    """An open file; for several threads under a lock of theirs. It is made when it is not there.

    Parameters
    ----------
    file
        Not on a network share, where write-ahead logging finds no shared memory.
    busy_s
        How long to wait for another process's transaction, in seconds.
    schema
        What it is brought to.

    Raises
    ------
    OSError
        It cannot be made.
    LaterVersion
        It was written by a later version of the service; nothing of it was changed.
    sqlite3.Error
        It cannot be opened, is no SQLite file, or the disk fails.

    Attributes
    ----------
    connection
        To the file that was opened, whatever has its name now.
    """

    def __init__(self, file: Path, busy_s: float, schema: Schema) -> None:
        self._file, self._busy_s, self._schema = file, busy_s, schema
        self.connection, self._identity = self._open()

    @property
    def is_replaced(self) -> bool:
        """Whether the name is not this file's any more, or that of its log not its log's."""
        return _identity_of(self._file) != self._identity

    def check(self) -> None:
        """Check that what is written here can be found under the name.

        Raises
        ------
        FileReplaced
            It cannot.
        """
        if self.is_replaced:
            raise FileReplaced

    def follow(
        self, bring: Callable[[sqlite3.Connection, sqlite3.Connection], None] | None = None
    ) -> None:
        """Open what has the name now, and close what had it.

        Parameters
        ----------
        bring
            Is given both connections first, the earlier file's before the later's.

        Raises
        ------
        FileReplaced
            Its log alone was replaced: two logs of one file cannot be open in one process.
        OSError, sqlite3.Error
            As the constructor; the earlier file stays open.
        """
        if _identity_of(self._file)[0] == self._identity[0]:
            raise FileReplaced
        later, identity = self._open()
        try:
            if bring is not None:
                bring(self.connection, later)
        except BaseException:
            later.close()
            raise
        earlier, self.connection, self._identity = self.connection, later, identity
        # SQLite leaves alone the log that has the name of this one's, where the file has moved.
        earlier.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run what is in the context as one transaction: committed at the end, undone by an error.

        Raises
        ------
        FileReplaced
            Nothing was committed, or it was, where nobody will find it.
        """
        self.check()
        with transaction(self.connection) as connection:
            yield connection
        # Whoever replaced it meanwhile may have read the files beside it before this was there.
        self.check()

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def _open(self) -> tuple[sqlite3.Connection, _Identity]:
        schema = self._schema
        # SQLite gives its further files the same mode.
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            made = _number_of(os.fstat(handle))
        finally:
            os.close(handle)
        connection = sqlite3.connect(
            self._file, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            prepare(connection, schema.pragmas, schema.statements, schema.version)
            identity = _identity_of(self._file)
            if identity[0] != made:
                raise FileReplaced
        except BaseException:
            connection.close()
            raise
        return connection, identity


def _identity_of(file: Path) -> _Identity:
    # By name alone: to open and close it would take this process's locks from SQLite.
    found: list[tuple[int, int] | None] = [None, None]
    for index, name in enumerate((str(file), f"{file}-wal")):
        with suppress(FileNotFoundError, NotADirectoryError):
            found[index] = _number_of(os.stat(name))
    return found[0], found[1]


def _number_of(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def check(file: Path, version: int) -> None:
    """Check that a file that is there could be opened and prepared; nothing of it is changed.

    Parameters
    ----------
    version
        The latest schema that is known.

    Raises
    ------
    OSError
        It cannot be written, or there is no room to look at it with its log.
    sqlite3.Error
        It is no SQLite file, or a later version of the service wrote it.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    try:
        # Immutable: no lock is asked for and no file made, though another process works on it.
        _look(f"{file.absolute().as_uri()}?mode=ro&immutable=1", version)
    except LaterVersion:
        raise
    except sqlite3.DatabaseError:
        # Without its log it may be half of what it is: a checkpoint is under way, or met a full
        # disk. To open it with that would make a file beside it, or take locks.
        with copied(file) as copy:
            if copy is None:
                raise
            _look(copy.as_uri(), version)


def _look(uri: str, version: int) -> None:
    connection = sqlite3.connect(uri, uri=True)
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
    pragmas, schema, version
        As of `Schema`.

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
    # The version is written each time: so there is a log from here on.
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
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have undone it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
