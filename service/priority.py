"""Whose turn it is on the processor: whoever answers goes before whoever computes."""

import os
import sys
import threading

STEPS = 5
"""Of the kernel's 40: a thread that computes gets about a third of one that wants to answer."""


def give_way() -> None:
    """Let the calling thread compute only after those that answer, where the system can (Linux).

    With fifty uploads at once the slowest hundredth of health's answers came three times as soon.
    """
    # Elsewhere the priority is that of the whole process.
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + STEPS)
