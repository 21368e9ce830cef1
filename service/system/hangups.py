"""SIGHUP, by which a service that runs is asked for what is new, from its first moment on.

Its default is to end a process, and a supervisor takes that for a clean end. Whoever reloads a
service that is still starting would stop it for good.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType


class Hangups:
    """Remembers that it was hung up on, until somebody can act on it.

    But where it comes since the terminal was closed, it ends the process, as ever.

    Attributes
    ----------
    asked
        It was, and nobody has acted on it yet.
    end
        Called instead once the terminal is gone; by default the signal does what it would.
    """

    def __init__(self) -> None:
        self.asked = False
        self.end: Callable[[FrameType | None], None] = _end
        self._had_terminal = os.isatty(0)

    def hear(self, sig: int, frame: FrameType | None) -> None:
        """Take the signal."""
        if self._had_terminal and not os.isatty(0):
            self.end(frame)
        else:
            self.asked = True


def hear_hangups() -> Hangups:
    """Take SIGHUP from now on; return who does, the one before where there is one."""
    hearing = getattr(signal.getsignal(signal.SIGHUP), "__self__", None)
    if isinstance(hearing, Hangups):
        return hearing
    hangups = Hangups()
    signal.signal(signal.SIGHUP, hangups.hear)
    # A library that waits for a disk or a database meanwhile need not know of it.
    signal.siginterrupt(signal.SIGHUP, False)
    return hangups


def _end(_: FrameType | None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)
