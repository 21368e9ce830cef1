"""No destination must get an object twice with different contents."""

from service.inbox.database import Connection
from service.inbox.states import DELIVERED, NOT_RUN, PROCESSED, RECEIVED, UID_KNOWN


def uid_conflict(
    connection: Connection, sop_instance_uid: str, entry: int | None = None
) -> str | None:
    """Say why an instance must not be processed, if so, within a transaction.

    Results have UIDs that follow from their instance's. So of all contents that come under one UID
    a single one is processed.

    Parameters
    ----------
    connection
        Its transaction holds the lock of the UID.
    sop_instance_uid
        The instance's.
    entry
        Its own, which is no hindrance; None where it has none yet.

    Returns
    -------
    str or None
        `UID_KNOWN` where another is to be processed, or has been; else None.
    """
    earlier = connection.execute(
        """SELECT 1 FROM entry WHERE sop_instance_uid = ? AND id != ? AND (state IN (?, ?, ?)
        OR EXISTS (SELECT 1 FROM result WHERE result.entry = entry.id AND kind NOT LIKE ?))""",
        (sop_instance_uid, entry or 0, RECEIVED, PROCESSED, DELIVERED, f"{NOT_RUN}%"),
    ).fetchone()
    return UID_KNOWN if earlier else None
