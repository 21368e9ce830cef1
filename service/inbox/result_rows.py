"""Entering results that lie on the disk: part of the transaction that says what came of a file."""

from collections.abc import Sequence

from service.inbox.database import Connection, Database
from service.inbox.states import DELIVERED, PROCESSED, StoredResult


def enter_results(
    database: Database,
    connection: Connection,
    entry: int,
    results: Sequence[StoredResult],
    destinations: Sequence[str],
    now: float,
) -> None:
    """Enter that an instance is processed, and its results, within a transaction."""
    queue_results(database, connection, entry, results, destinations, now)
    connection.execute(
        "UPDATE entry SET state = ?, code = NULL, changed = ? WHERE id = ?",
        (PROCESSED if results and destinations else DELIVERED, now, entry),
    )


def queue_results(
    database: Database,
    connection: Connection,
    entry: int,
    results: Sequence[StoredResult],
    destinations: Sequence[str],
    now: float,
) -> None:
    """Enter results of an instance and queue their delivery, within a transaction."""
    for result in results:
        row = database.insert(
            connection,
            """INSERT INTO result (entry, kind, sop_instance_uid, digest, size)
            VALUES (?, ?, ?, ?, ?)""",
            (entry, result.kind, result.sop_instance_uid, result.digest, result.size),
        )
        connection.executemany(
            """INSERT INTO delivery (result, destination, state, due)
            VALUES (?, ?, 'waiting', ?)""",
            [(row, destination, now) for destination in destinations],
        )
