"""How long a caller waits: until its deadline, or until it leaves.

Every wait within a request checks it.
"""

import math
import threading
import time
from collections.abc import Callable

from service.errors import CallerLeft, DeadlineExceeded


class CancelToken:
    """One caller's. `cancel` may be called from any thread, and wakes whatever waits.

    Parameters
    ----------
    timeout_s
        From now to the deadline, in seconds.
    """

    def __init__(self, timeout_s: float = math.inf) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._lock = threading.Lock()
        self._cancelled = False
        self._waiting_on: threading.Condition | None = None

    @property
    def remaining_s(self) -> float:
        """What is left until the deadline; 0 once it has passed."""
        return min(max(0.0, self._deadline - time.monotonic()), threading.TIMEOUT_MAX)

    def cancel(self) -> None:
        """Say that nobody waits for the answer any more."""
        with self._lock:
            self._cancelled, condition = True, self._waiting_on
        if condition is not None:
            with condition:
                condition.notify_all()

    def expire(self) -> None:
        """Bring the deadline forward to now; a wait that has begun goes by the old one."""
        self._deadline = min(self._deadline, time.monotonic())

    def raise_if_cancelled(self) -> None:
        """Raise unless the caller still waits for the answer.

        Raises
        ------
        CallerLeft
            The caller is gone.
        DeadlineExceeded
            The deadline has passed.
        """
        if self._cancelled:
            raise CallerLeft("client-left", "The caller left before the answer was there.")
        if time.monotonic() >= self._deadline:
            raise DeadlineExceeded("deadline", "The answer was not there in time.")

    def wait_for(self, condition: threading.Condition, done: Callable[[], bool]) -> None:
        """Sleep on a condition, which must be held, until `done`; by one thread at a time.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            As `raise_if_cancelled`.
        """
        with self._lock:
            self._waiting_on = condition
        try:
            while not done():
                self.raise_if_cancelled()
                condition.wait(self.remaining_s)
        finally:
            with self._lock:
                self._waiting_on = None
