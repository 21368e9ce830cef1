"""How often each caller may ask: a token bucket for each, in a table that is bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable

MAX_BUCKETS = 4096
"""Callers that are remembered. Of more, the one that asked longest ago is forgotten, and may then
ask as one that never did."""


class TokenBuckets:
    """Lets each caller ask so many times a minute, all of them at once if it likes.

    Parameters
    ----------
    per_minute
        How many times.
    most
        Callers remembered at once.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        per_minute: int,
        most: int = MAX_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._per_second = float(per_minute), per_minute / 60
        self._most, self._clock = most, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str) -> float:
        """Take one token; return 0, or after how many seconds there is one where there is none."""
        now = self._clock()
        tokens, since = self._buckets.pop(caller, (self._size, now))
        tokens = min(self._size, tokens + (now - since) * self._per_second)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self._per_second
        self._buckets[caller] = (tokens if wait_s else tokens - 1, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait_s
