"""The disk space that an inbox may take, claimed before it is used."""

import threading

from service.errors import Overloaded
from service.inbox.register import Register

RETRY_S = 60


class Room:
    """The disk space of one inbox, counted before it is used.

    Parameters
    ----------
    register
        Whose files are there.
    capacity
        Bytes in all.
    """

    def __init__(self, register: Register, capacity: int) -> None:
        self._register, self._capacity = register, capacity
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
            if self._register.bytes_held() + self._arriving + size > self._capacity:
                raise inbox_full()
            self._arriving += size

    def give_back(self, size: int) -> None:
        """Stop counting them: they are in the books, or gone."""
        with self._lock:
            self._arriving -= size


def inbox_full() -> Overloaded:
    """Give the error for an instance that finds no room."""
    return Overloaded("inbox-full", "The inbox is full; send again later.", RETRY_S)


def inbox_fails() -> Overloaded:
    """Give the error for an inbox whose disk does not take anything."""
    return Overloaded("inbox-fails", "The inbox cannot be written; send later.", RETRY_S)
