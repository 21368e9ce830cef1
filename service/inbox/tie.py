"""Ties the inbox's folder to its PostgreSQL, so that no replica works with another folder.

The database has an identity, a word that nobody chose, and the folder's marker names it. The first
replica makes both. An inbox of an earlier version has neither: then the folder must hold what the
database says it does.
"""

import secrets
from pathlib import Path

from service.errors import StartupError
from service.inbox.database import Connection
from service.inbox.files import Files
from service.inbox.folders import cannot_write, folders_of
from service.inbox.marker import MARKER, read_marker
from service.inbox.postgres import MIGRATION_LOCK, PostgresDatabase

MAX_LOOKED_FOR = 1000
"""Files of each table, the latest: where none of so many is there, the folder is not theirs."""


def tie(database: PostgresDatabase, folder: Path) -> Files:
    """Open the folder that belongs to a database; tie it to that where none does yet.

    Raises
    ------
    StartupError
        The folder is not the database's, or cannot be used. It may be once it is mounted.
    DatabaseFails
        The database does not answer.
    """
    # By one replica at a time: all of them find what the first one made.
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(?)", (MIGRATION_LOCK,))
        identity = _identity(connection)
        tied = check_tie(connection, folder, identity) or secrets.token_hex(16)
        # Nothing is made in the folder before, or it would look like an inbox's the next time.
        files = Files(folder, tied)
        files.mark()
        if identity is None:
            connection.execute("INSERT INTO identity VALUES (?)", (tied,))
    return files


def check_tie(connection: Connection, folder: Path, identity: str | None) -> str | None:
    """Check that a folder and a database belong together; nothing is made.

    Parameters
    ----------
    connection
        To a database with tables.
    identity
        Of the database, if it has one.

    Returns
    -------
    str or None
        The identity, or None where neither has one, and they may be tied.

    Raises
    ------
    StartupError
        They do not, or the folder cannot be read.
    """
    try:
        marker = read_marker(folder)
        # A database that was lost, or is an earlier backup, becomes the marker's again.
        if marker is not None and identity in (None, marker):
            return marker
        if identity is None and _holds_what_it_should(connection, folder):
            return None
    except OSError as error:
        raise cannot_write(folder, error) from None
    word = identity or secrets.token_hex(16)
    raise StartupError(
        f"the inbox {folder} is not the folder of its database: is the share mounted? If it is the "
        f"right one all the same, write {word} into {folder / MARKER}; what the database has and "
        "the folder has not is then given up",
        may_pass=True,
    )


def look_at_tie(folder: Path, connection: Connection, version: int) -> None:
    """Check as `check_tie`, of a database whose tables are of some version."""
    # The first had no identities; nor has a schema that is only being made.
    if version > 0:
        check_tie(connection, folder, _identity(connection) if version > 1 else None)


def _identity(connection: Connection) -> str | None:
    row = connection.execute("SELECT word FROM identity").fetchone()
    return None if row is None else str(row[0])


def _holds_what_it_should(connection: Connection, folder: Path) -> bool:
    """Say whether a folder without a marker is that of a database without an identity."""
    _, sources, results, _ = folders_of(folder)
    should_hold = False
    for table, where in (("entry", sources), ("result", results)):
        rows = connection.execute(
            f"SELECT digest FROM {table} WHERE size > 0 ORDER BY id DESC LIMIT {MAX_LOOKED_FOR}"
        ).fetchall()
        if any((where / f"{digest}.dcm").is_file() for (digest,) in rows):
            return True
        should_hold |= bool(rows)
    if should_hold:
        return False
    # All is delivered, so that there are no files: then it has the folders of an earlier start.
    return sources.is_dir() or not connection.execute("SELECT 1 FROM entry LIMIT 1").fetchall()
