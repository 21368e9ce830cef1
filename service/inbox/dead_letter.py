"""What becomes of a dead letter that an operator replays."""

from service.inbox.database import Connection
from service.inbox.states import DEAD, NOT_RUN, PROCESSED, RECEIVED, SET_ASIDE, State
from service.inbox.uid_conflict import uid_conflict


def start_anew(connection: Connection, id: int, now: float) -> bool:
    """Give an instance a new start, within a transaction that holds its locks; say whether it has.

    One whose UID another content has come to be processed under is set aside; its source is kept
    until it is forgotten.
    """
    waiting = connection.execute(
        """UPDATE delivery SET state = 'waiting', code = NULL, attempts = 0, due = ?
        WHERE state = 'dead' AND result IN (SELECT id FROM result WHERE entry = ?)""",
        (now, id),
    ).rowcount
    dead = connection.execute(
        "SELECT sop_instance_uid FROM entry WHERE id = ? AND state = ?", (id, DEAD)
    ).fetchone()
    if dead is None:
        return bool(waiting)
    is_sent_again = waiting and has_findings(connection, id)
    code = None if is_sent_again else uid_conflict(connection, dead[0], id)
    state: State = SET_ASIDE if code else PROCESSED if is_sent_again else RECEIVED
    connection.execute(
        "UPDATE entry SET state = ?, code = ?, attempts = 0, due = ?, changed = ? WHERE id = ?",
        (state, code, now, now, id),
    )
    connection.execute("DELETE FROM untold WHERE entry = ?", (id,))
    return bool(waiting) or code is None


def has_findings(connection: Connection, id: int) -> bool:
    """Say whether results were made of an instance, other than that it was not analysed."""
    found = connection.execute(
        "SELECT 1 FROM result WHERE entry = ? AND kind NOT LIKE ?", (id, f"{NOT_RUN}%")
    ).fetchone()
    return found is not None
