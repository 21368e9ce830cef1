"""How long to wait before trying again: longer each time, never in step with others."""

import random
from dataclasses import dataclass


def doubled_s(first_s: float, failures: int, longest_s: float) -> float:
    """Return the delay after so many failures: the first, twice as long each time, up to a bound.

    All in seconds; `failures` is counted from 1.
    """
    return min(first_s * 2.0 ** min(failures - 1, 60), longest_s)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays with jitter, and a bound on their number.

    Attributes
    ----------
    first_s
        About the first delay, in seconds; each further one is twice as long.
    longest_s
        None is longer.
    attempts
        After so many there is no further one.
    """

    first_s: float
    longest_s: float
    attempts: int

    def delay_s(self, attempts: int) -> float | None:
        """Return the delay after so many attempts, from half of it up; None to give up."""
        if attempts >= self.attempts:
            return None
        return self.pause_s(attempts)

    def pause_s(self, attempts: int) -> float:
        """Return the delay, however many attempts there were."""
        whole = doubled_s(self.first_s, attempts, self.longest_s)
        return whole * random.uniform(0.5, 1.0)  # noqa: S311
