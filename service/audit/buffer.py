"""Messages that the collector does not have yet: one SQLite file, which several processes share.

What was added outlives the process however it ends. A second later it is on the disk, too, and
outlives the machine's (`sync`): waiting for the disk with each message would cost a request more
than the message is worth. Where the file is deleted or replaced while it is open, what it holds is
brought to the one that has its name.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from service.errors import StartupError
from service.system import sqlite_file
from service.system.passing import may_pass
from service.system.private_files import check_private
from service.system.sqlite_file import FileReplaced

FILE = "audit.sqlite3"
LOCK = "audit.lock"
VERSION = 1

BUSY_S = 2.0
"""How long to wait for another process's transaction; each takes less than a millisecond."""

STRANGERS_SHARE = 0.5
"""Of the bound, what may be taken by events that anybody can cause, as refused keys."""

_PRAGMAS = (
    *("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=NORMAL"),
    "secure_delete=ON",
)
"""What was deleted is overwritten, and pages that it took are given back."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    header TEXT NOT NULL,
    content BLOB NOT NULL,
    of_stranger INTEGER NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS held (
    of_stranger INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0
);
INSERT OR IGNORE INTO held (of_stranger) VALUES (0), (1);
CREATE TRIGGER IF NOT EXISTS message_added AFTER INSERT ON message BEGIN
    UPDATE held SET bytes = bytes + new.size WHERE of_stranger = new.of_stranger;
END;
CREATE TRIGGER IF NOT EXISTS message_forgotten AFTER DELETE ON message BEGIN
    UPDATE held SET bytes = bytes - old.size WHERE of_stranger = old.of_stranger;
END;
"""

_ROW_BYTES = 64
"""What a row takes beside its texts, about."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message in the buffer: its number, and as of `syslog.syslog_message`."""

    number: int
    header: str
    content: bytes = field(repr=False)


class Addition(NamedTuple):
    """What became of a message.

    Attributes
    ----------
    is_kept
        It is in the buffer; else there was no room for it.
    lost
        How many of its kind, strangers' or not, found no room since the last time that one did.
    """

    is_kept: bool
    lost: int


class AuditBuffer:
    """The buffer; for several threads and processes.

    Parameters
    ----------
    folder
        Made when it is not there. On a local disk: write-ahead logging needs shared memory.
    max_bytes
        Bound on the messages held. At the bound those that are there stay, and what comes is lost:
        else a flood would wash away what was recorded of its beginning.

    Raises
    ------
    StartupError
        It cannot be opened, cannot be closed to others, or lies in a folder that they may enter.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = folder, max_bytes
        self._lock, self._is_renumbered = threading.Lock(), False
        self._path = file = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _check_private(folder)
            _close_to_others(file)
            schema = sqlite_file.Schema(_PRAGMAS, _SCHEMA, VERSION)
            self._file = sqlite_file.SqliteFile(file, BUSY_S, schema)
        except (OSError, sqlite3.Error) as error:
            raise _cannot_open(file, error) from None

    def add(self, header: str, content: bytes, *, of_stranger: bool = False) -> Addition:
        """Keep a message.

        Raises
        ------
        sqlite3.Error
            The disk is full, or fails.
        """
        size = len(header) + len(content) + _ROW_BYTES
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT bytes, lost FROM held ORDER BY of_stranger"
            ).fetchall()
            (others, _), (strangers, _) = rows
            lost = rows[of_stranger][1]
            is_full = others + strangers + size > self._max_bytes
            if of_stranger:
                is_full |= strangers + size > STRANGERS_SHARE * self._max_bytes
            if is_full:
                connection.execute(
                    "UPDATE held SET lost = lost + 1 WHERE of_stranger = ?", (of_stranger,)
                )
                return Addition(False, lost + 1)
            _insert(connection, header, content, of_stranger, size)
            return Addition(True, lost)

    def add_of_bound(
        self, header: str, content: bytes, *, of_stranger: bool, is_over: bool
    ) -> None:
        """Keep a message that tells of the bound itself, beyond it.

        Parameters
        ----------
        of_stranger
            Whose messages were lost.
        is_over
            There is room again: what was lost until now is not told of again.

        Raises
        ------
        sqlite3.Error
            As `add`.
        """
        with self._transaction() as connection:
            if is_over:
                connection.execute("UPDATE held SET lost = 0 WHERE of_stranger = ?", (of_stranger,))
            size = len(header) + len(content) + _ROW_BYTES
            _insert(connection, header, content, False, size)

    def after(self, number: int, most: int) -> list[Stored]:
        """Return the messages that follow one, in their order.

        Raises
        ------
        FileReplaced
            Once: numbers of before are others' now, and what follows 0 is what is left to be sent.
        """
        with self._lock:
            self._follow()
            self._check_numbers()
            rows = self._file.connection.execute(
                "SELECT number, header, content FROM message WHERE number > ? ORDER BY number "
                "LIMIT ?",
                (number, most),
            ).fetchall()
        return [Stored(*row) for row in rows]

    def forget(self, number: int) -> None:
        """Delete all messages up to one: the collector has them.

        Raises
        ------
        FileReplaced
            As `after`.
        """
        with self._transaction() as connection:
            self._check_numbers()
            connection.execute("DELETE FROM message WHERE number <= ?", (number,))
            (is_left,) = connection.execute("SELECT EXISTS (SELECT 1 FROM message)").fetchone()
        if not is_left:
            self._shrink()

    def _shrink(self) -> None:
        """Leave nothing of what was there on the disk."""
        with self._lock:
            self._file.connection.execute("PRAGMA incremental_vacuum").fetchall()
            self._file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def waiting(self) -> int:
        """Return how many messages there are."""
        with self._lock:
            (count,) = self._file.connection.execute("SELECT count(*) FROM message").fetchone()
        return int(count)

    def sync(self) -> None:
        """Put on the disk what was added, by whichever process."""
        with self._lock:
            self._file.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._follow()
            with sqlite_file.transaction(self._file.connection) as connection:
                yield connection

    def _follow(self) -> None:
        """Bring what is left to be sent to the file that has the name, where it is another by now.

        What is added after this look is brought at the next one: nothing was promised to be there.
        """
        if self._file.is_replaced:
            _close_to_others(self._path)
            self._file.follow(_bring)
            self._is_renumbered = True

    def _check_numbers(self) -> None:
        if self._is_renumbered:
            self._is_renumbered = False
            raise FileReplaced


def _insert(
    connection: sqlite3.Connection, header: str, content: bytes, of_stranger: bool, size: int
) -> None:
    connection.execute(
        "INSERT INTO message (header, content, of_stranger, size) VALUES (?, ?, ?, ?)",
        (header, content, of_stranger, size),
    )


def _bring(earlier: sqlite3.Connection, later: sqlite3.Connection) -> None:
    """Move all messages from one file to another; no two processes move the same."""
    with sqlite_file.transaction(earlier), sqlite_file.transaction(later):
        messages = earlier.execute(
            "SELECT header, content, of_stranger, size FROM message ORDER BY number"
        )
        for message in messages:
            _insert(later, *message)
        # A kill between the two ends moves them twice: at least once is what is promised.
        earlier.execute("DELETE FROM message")


def check_buffer(folder: Path) -> None:
    """Check that a buffer that lies in a folder, if one does, can be opened; nothing is changed.

    Raises
    ------
    StartupError
        It cannot be, or others may enter the folder.
    """
    file = folder / FILE
    try:
        if folder.exists():
            _check_private(folder)
        if file.exists():
            sqlite_file.check(file, VERSION)
    except (OSError, sqlite3.Error) as error:
        raise _cannot_open(file, error) from None


def _check_private(folder: Path) -> None:
    # Whoever enters it may hold the sender's lock: then nothing is sent, and nobody says so.
    check_private(folder, "the audit folder", "who looked at images of which patients")


def _close_to_others(file: Path) -> None:
    """Take back what a volume's driver or a careless copy allowed others."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.chmod(f"{file}{suffix}", 0o600)


def _cannot_open(file: Path, error: OSError | sqlite3.Error) -> StartupError:
    reason = error.strerror if isinstance(error, OSError) else error
    said = f"the audit buffer {file} cannot be opened: {reason}"
    return StartupError(said, may_pass=may_pass(error))
