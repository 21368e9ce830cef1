"""What becomes of an instance that comes again, byte for byte."""

from typing import NamedTuple

from service.inbox.database import Connection, Database
from service.inbox.dead_letter import has_findings, start_anew
from service.inbox.states import DEAD, RECEIVED, Arrival, State


class KnownInstance(NamedTuple):
    """One that came before.

    Attributes
    ----------
    id, state, code
        As of its entry.
    is_revived
        Its file was gone, and is to be kept now.
    """

    id: int
    state: State
    code: str | None
    is_revived: bool = False


def known_instance(connection: Connection, arrival: Arrival) -> KnownInstance | None:
    """Return what is known of an instance, within a transaction; None where it is new."""
    row = connection.execute(
        "SELECT id, state, code FROM entry WHERE sop_instance_uid = ? AND digest = ?",
        (arrival.sop_instance_uid, arrival.digest),
    ).fetchone()
    return None if row is None else KnownInstance(*row)


def revive(
    database: Database,
    connection: Connection,
    arrival: Arrival,
    known: KnownInstance,
    now: float,
) -> KnownInstance:
    """Have an instance processed whose file is gone, if that is still to be done.

    Parameters
    ----------
    connection
        Its transaction holds the lock of the UID.
    known
        As `known_instance` gives it.
    now
        The time by the database's clock.

    Returns
    -------
    KnownInstance
        As it is now. One that was given up is set aside where its UID has come with another
        content since, as when it is replayed.
    """
    database.lock_entry(connection, known.id)
    # As it is under the lock: another replica may just be done with it.
    held = known_instance(connection, arrival)
    if held is None or held.state not in (RECEIVED, DEAD):
        return held or known
    if held.state == DEAD:
        if has_findings(connection, held.id):
            # Its file was done with; what is dead is a delivery.
            return held
        start_anew(connection, held.id, now)
    connection.execute(
        "UPDATE entry SET size = ? WHERE id = ? AND state = ?", (arrival.size, held.id, RECEIVED)
    )
    found = known_instance(connection, arrival) or held
    return found._replace(is_revived=found.state == RECEIVED)
