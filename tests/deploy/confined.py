"""Runs a command as another user under a filter of system calls, as systemd starts a service.

`python -m tests.deploy.confined UID ADDRESS_FAMILIES CALLS COMMAND...`: families as numbers and
calls as names, each separated by commas. It needs root, and libseccomp, which systemd needs too.
Standard input is the command's.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Sequence

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000 | errno.EPERM
_SET_NO_NEW_PRIVILEGES, _SET_MDWE, _REFUSE_EXEC_GAIN = 38, 65, 1
_EQUALS = 4


class _Comparison(ctypes.Structure):
    """What an argument of a call is compared with (struct scmp_arg_cmp)."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def restrict_calls(names: Sequence[str], families: Sequence[int]) -> None:
    """Leave this process these calls, and sockets of these address families; for good."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_ERRNO)))
    allow = ctypes.c_uint32(_ALLOW)
    for name in set(names) - {"socket"}:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        # Below zero are calls of other machines, and of kernels that the library does not know.
        if number >= 0 and seccomp.seccomp_rule_add(context, allow, number, 0):
            raise SystemExit(f"no rule for {name}")
    socket = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in families if "socket" in names else ():
        is_family = (_Comparison * 1)(_Comparison(0, _EQUALS, family, 0))
        if seccomp.seccomp_rule_add_array(context, allow, socket, 1, is_family):
            raise SystemExit(f"no rule for sockets of family {family}")
    if seccomp.seccomp_load(context):
        raise SystemExit("the filter cannot be loaded")


def main() -> None:
    """Give up root, memory that is both written and run, and calls; then run the command.

    Processes of others are hidden first, which changes /proc for whoever shares this mount.
    """
    user, families, calls, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), b"hidepid=invisible"):
        raise SystemExit(f"mount: errno {ctypes.get_errno()}")
    os.setgroups([])
    os.setresgid(*[int(user)] * 3)
    os.setresuid(*[int(user)] * 3)
    nothing = ctypes.c_ulong(0)
    for option, value in ((_SET_NO_NEW_PRIVILEGES, 1), (_SET_MDWE, _REFUSE_EXEC_GAIN)):
        if libc.prctl(option, ctypes.c_ulong(value), nothing, nothing, nothing):
            raise SystemExit(f"prctl {option}: errno {ctypes.get_errno()}")
    restrict_calls(calls.split(","), [int(family) for family in families.split(",")])
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
