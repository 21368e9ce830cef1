"""What another thread or process does a moment later than its answer comes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HANG_S = 120.0
"""What does not wait for something that never comes is done by then, however busy the machine is.

No test asserts less: how long things take is for benchmarks. What would be waited for otherwise
lasts longer, so that the test fails where it is waited for.
"""


def comes_true(condition: Callable[[], object], within_s: float = HANG_S) -> bool:
    """Say whether something becomes so, if only for a moment; only what never does takes it all."""
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= ends:
            return False
        time.sleep(0.02)
    return True


def ends(call: Callable[[], object]) -> bool:
    """Say whether a call comes back; one that does not is left behind in its thread."""
    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    caller.join(HANG_S)
    return not caller.is_alive()


@contextmanager
def not_held_up() -> Iterator[None]:
    """See that what is done inside did not wait for something that never comes."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < HANG_S
