"""The disk space that an inbox may take, claimed before it is used."""

import threading

from service.errors import Overloaded
from service.inbox.instance_store import InstanceStore

RETRY_S = 60
RETRY_AWAY_S = 10


class DiskQuota:
    """The disk space of one inbox, counted before it is used.

    Parameters
    ----------
    instances
        Whose files are there.
    capacity
        Bytes in all.
    """

    def __init__(self, instances: InstanceStore, capacity: int) -> None:
        self._instances, self._capacity = instances, capacity
        self._lock = threading.Lock()
        self._arriving = 0

    def take(self, size: int) -> None:
        """Count bytes that arrive.

        Raises
        ------
        Overloaded
            They do not fit.
        """
        with self._lock:
            if self._instances.bytes_held() + self._arriving + size > self._capacity:
                raise inbox_full()
            self._arriving += size

    def give_back(self, size: int) -> None:
        """Stop counting them: they are in the database, or gone."""
        with self._lock:
            self._arriving -= size


def inbox_full() -> Overloaded:
    """Return the error for an instance that finds no space."""
    return Overloaded("inbox-full", "The inbox is full; send again later.", RETRY_S)


def database_away() -> Overloaded:
    """Return the error for an inbox whose database does not answer."""
    return Overloaded(
        "inbox-database-away", "The inbox's database does not answer; send later.", RETRY_AWAY_S
    )


def inbox_fails() -> Overloaded:
    """Return the error for an inbox whose disk does not take anything."""
    return Overloaded("inbox-fails", "The inbox cannot be written; send later.", RETRY_S)
