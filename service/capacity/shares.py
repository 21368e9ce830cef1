"""How much of something countable each caller may hold, so that none has all of it."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable

RESERVE = 8
"""One in so many is kept from a caller that is alone, for the next one who comes."""

ACTIVE_S = 10.0
"""Seconds for which a caller counts as one who wants something: longer than it is told to wait."""

MAX_CALLERS = 256
"""Callers that are remembered as wanting something."""


class Shares:
    """Shares a number of places among those who want some.

    A caller may hold all of them but a reserve, and where several want some, an equal part. Places
    over its share are not taken from it: it gets no further one until it holds less.

    Parameters
    ----------
    places
        How many there are.
    clock
        Seconds, monotonic.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places, self._clock = places, clock
        self._alone = max(1, places - max(1, places // RESERVE))
        self._held: Counter[str] = Counter()
        self._wanted_at: OrderedDict[str, float] = OrderedDict()

    def may_take(self, caller: str | None) -> bool:
        """Tell whether a caller may have one more; None is one whom nobody asked who it is."""
        if caller is None:
            return True
        now = self._clock()
        self._wanted_at[caller] = now
        self._wanted_at.move_to_end(caller)
        while len(self._wanted_at) > MAX_CALLERS or (
            now - next(iter(self._wanted_at.values())) > ACTIVE_S
        ):
            self._wanted_at.popitem(last=False)
        active = len(self._wanted_at.keys() | self._held.keys())
        return self._held[caller] < min(self._alone, max(1, self._places // active))

    def take(self, caller: str | None) -> None:
        """Count one more that a caller holds."""
        if caller is not None:
            self._held[caller] += 1

    def give_back(self, caller: str | None) -> None:
        """Count one less."""
        if caller is not None:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
