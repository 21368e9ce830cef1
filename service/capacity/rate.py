"""How fast mammograms are finished: what a refused caller is told to wait follows from it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.capacity.ewma import Ewma

FIRST_GUESS_S = 1.0
"""Seconds between two finished mammograms, assumed until one was finished."""

MEMORY = 0.1
"""Weight of the newest gap in the running mean."""


class CompletionRate:
    """Measures the time from one finished mammogram to the next, while any is worked on."""

    def __init__(self) -> None:
        self._at_work = 0
        self._since = 0.0
        self._gap_s = Ewma(MEMORY)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work on one while in the context; it is finished where that ends without an error."""
        if self._at_work == 0:
            self._since = time.monotonic()
        self._at_work += 1
        try:
            yield
            self._finish()
        finally:
            self._at_work -= 1

    def seconds_for(self, count: int) -> float:
        """Return how long so many mammograms will take, in seconds, at the present rate."""
        return count * (FIRST_GUESS_S if self._gap_s.value is None else self._gap_s.value)

    def _finish(self) -> None:
        now = time.monotonic()
        self._gap_s.update(now - self._since)
        self._since = now
