"""How commands that segment many images end: by a signal, a full disk, a device that failed."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.api.options import parse_spacing
from service.batch.results import NotWritten
from service.batch.run import EngineFailed
from service.commands.endings import say
from service.errors import DeviceFailed, InvalidRequest, StartupError
from service.exit_status import DEVICE_FAILED, INTERRUPTED, WRITE_FAILED
from service.terminal import fail

TERMINATED = 128 + signal.SIGTERM


def exit_status_of(work: Callable[[], int]) -> int:
    """Do work that the same command goes on with; return its exit status, and say what ended it."""
    try:
        return work()
    except StartupError as error:
        fail(error)
    except NotWritten as error:
        say(f"{error}; once that is over, the same command goes on")
        return WRITE_FAILED
    except DeviceFailed:
        say("the device failed; the same command goes on")
        return DEVICE_FAILED
    except EngineFailed as error:
        say(f"{error}; the same command goes on")
        return DEVICE_FAILED
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        return INTERRUPTED


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the context in order: what is in work is given up, the cursor is back."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def spacing_or_fail(text: str | None) -> tuple[float, float] | None:
    """Read what `--pixel-spacing-mm` says; end the command where it says nothing."""
    try:
        return parse_spacing(text)
    except InvalidRequest:
        fail("--pixel-spacing-mm takes one number, or row,column, in mm")
