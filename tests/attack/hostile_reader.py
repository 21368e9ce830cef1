"""A reader, which parses what strangers send, is in a stranger's hands, or hangs."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable

import psutil

from tests.attack.attack import Attack, Sent
from tests.attack.target import Target

PIDFD_GETFD = 438
"""The system call's number (Linux 5.6), on every architecture."""

RUBBISH = b"\x00\x00\x00\x7c" + bytes(range(124))
HALF = b"\x00\x00\x10\x00"
"""By Python's framing of a connection: 124 bytes that are no message, and 4,096 announced of which
none comes."""

READER = {"reader_deadline_s": "10"}
"""As by default: in it another reader starts, also on a machine that is busy."""


def _says(words: bytes) -> Callable[[Target], Sent]:
    """Say something in the name of each reader, on every line that it has."""

    def run(target: Target) -> Sent:
        said = sum(_say(reader, words) for reader in target.readers)
        faults = () if said else ("no line of a reader was found: nothing was attacked",)
        return Sent(0, said * len(words), faults)

    return run


def _say(reader: psutil.Process, words: bytes) -> int:
    said, handle = 0, os.pidfd_open(reader.pid)
    for name in os.listdir(f"/proc/{reader.pid}/fd"):
        with contextlib.suppress(OSError):
            link = os.readlink(f"/proc/{reader.pid}/fd/{name}")
            if int(name) > 2 and link.startswith(("socket:", "pipe:")):
                line = _descriptor(handle, int(name))
                said += os.write(line, words) == len(words)
                os.close(line)
    os.close(handle)
    return said


def _descriptor(process: int, number: int) -> int:
    line: int = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0)
    if line < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return line


def _stopped(target: Target) -> Sent:
    for reader in target.readers:
        reader.send_signal(signal.SIGSTOP)
    return Sent(0, 0)


ATTACKS = (
    Attack(
        "reader-rubbish",
        "a reader answers 128 bytes of rubbish",
        _says(RUBBISH),
        READER,
        True,
        True,
    ),
    Attack("reader-half", "a reader answers half a message", _says(HALF), READER, True, True),
    Attack("reader-stopped", "SIGSTOP to every reader", _stopped, READER, True),
)
