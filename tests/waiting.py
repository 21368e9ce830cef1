"""What another thread or process does a moment later than its answer comes."""

import time
from collections.abc import Callable


def comes_true(condition: Callable[[], object], within_s: float = 120.0) -> bool:
    """Say whether something becomes so; only what never does takes all that time."""
    ends = time.monotonic() + within_s
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return bool(condition())
