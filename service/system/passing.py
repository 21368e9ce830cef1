"""Tells what passes by itself from what somebody must mend."""

import errno
import sqlite3
from socket import gaierror
from ssl import SSLError

PASSING_ERRNOS = frozenset(
    (
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ETIMEDOUT,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ESTALE,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EBUSY,
    )
)
PASSING_SQLITE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
    )
)


def may_pass(error: Exception) -> bool:
    """Tell whether what the system or SQLite refused may be had later, though nobody mends it.

    A disk that is full may; a file that is not there, or is not ours, may not.
    """
    if isinstance(error, gaierror):
        return True
    if (code := getattr(error, "sqlite_errorcode", None)) is not None:
        return code & 0xFF in PASSING_SQLITE
    # OpenSSL's errors have numbers of its own there.
    return (
        isinstance(error, OSError)
        and not isinstance(error, SSLError)
        and error.errno in PASSING_ERRNOS
    )
