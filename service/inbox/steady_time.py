"""The time for what is to be done later: the system's clock may be set while it runs."""

import time


class SteadyTime:
    """Seconds since 1970 as of its making, and from then on at the pace of a monotonic clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the time, in seconds; it never goes back, nor leaps."""
        return self._offset + time.monotonic()
