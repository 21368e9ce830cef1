"""Takes from a process the files, the network and the other processes (Linux, landlock(7)).

Nothing is left but to read what is below some folders. There is no library for it that is kept.
"""

import ctypes
import os
import struct
from collections.abc import Iterable

from service.reading.seccomp import Unsupported

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = ((5, (1 << 16) - 1), (3, (1 << 15) - 1), (2, (1 << 14) - 1), (1, (1 << 13) - 1))
"""From which version on, all rights to files there are."""

_NETWORK_SINCE, _TCP = 4, 0b11
_SCOPES_SINCE, _SIGNALS_AND_SOCKETS = 6, 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the kernel's version of Landlock; 0 where it has none."""
    return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION)))


def restrict(readable: Iterable[str]) -> int:
    """Leave this thread, and those it starts, nothing but to read what is below some paths.

    From version 4 on, TCP goes as well; from 6 on, signals and abstract sockets of processes
    outside. A path that is not there is left out.

    Returns
    -------
    The version.

    Raises
    ------
    Unsupported
        The kernel has no Landlock.
    """
    known = version()
    if not known:
        raise Unsupported("the kernel has no Landlock (Linux 5.13)")
    rights = next(bits for since, bits in _FILE_RIGHTS if known >= since)
    network = _TCP if known >= _NETWORK_SINCE else 0
    scopes = _SIGNALS_AND_SOCKETS if known >= _SCOPES_SINCE else 0
    size = 24 if known >= _SCOPES_SINCE else 16 if known >= _NETWORK_SINCE else 8
    attributes = struct.pack("<QQQ", rights, network, scopes)[:size]
    rules = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
    if rules < 0:
        raise Unsupported(f"Landlock takes no rules (errno {ctypes.get_errno()})")
    try:
        for path in readable:
            _allow_reading(rules, path)
        if _call(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint(0)):
            raise Unsupported(f"Landlock cannot be entered (errno {ctypes.get_errno()})")
    finally:
        os.close(rules)
    return known


def _allow_reading(rules: int, path: str) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
        rule = struct.pack("<Qi", rights, opened)
        if _call(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, 0):
            raise Unsupported(f"Landlock takes no rule (errno {ctypes.get_errno()})")
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    return int(_libc.syscall(ctypes.c_long(number), *arguments))
