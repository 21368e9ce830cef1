"""What another thread or process does a moment later than its answer comes."""

import time
from collections.abc import Callable


def comes_true(condition: Callable[[], object], within_s: float = 120.0) -> bool:
    """Say whether something becomes so, if only for a moment; only what never does takes it all."""
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= ends:
            return False
        time.sleep(0.02)
    return True
