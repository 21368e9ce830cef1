"""One connection to PostgreSQL, whose errors say which they are and nothing of what was asked."""

import ssl
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from service.errors import StartupError
from service.inbox.database import Cursor, DatabaseFails
from service.inbox.postgres_schema import SCHEMA
from service.postgres_options import PostgresOptions
from service.tls_files import TlsFiles, client_context

CONNECT_S = 10.0
"""For a connection, and from a question to its answer: then the server counts as away."""

STATEMENT_S = 8.0
"""The server ends a statement that takes longer, so that it is not worked on for nobody."""

AWAY = "away"
"""Code of a connection that is broken, or does not come about."""

STANDBY = "25006"
"""The SQLSTATE of what would write where nothing may be written: on a server that stands by, or
did when the connection was made."""

_BROKEN = ("08", STANDBY, "25P03", "53", "57", "58", "XX")
"""Beginnings of SQLSTATEs after which a connection is of no use: of the connection, of a server
that stands by, of a session that was ended, of resources, of an operator, of the system, and of
faults (appendix A of PostgreSQL's manual)."""

_Answer = TypeVar("_Answer")


class BrokenConnection(DatabaseFails):
    """The connection is of no use any more."""


class PostgresConnection:
    """A connection; for one thread at a time.

    Parameters
    ----------
    options
        How to connect.
    idle_s
        A transaction in which nothing is said for so long is undone by the server: a replica that
        is paused keeps nobody from a row.

    Raises
    ------
    DatabaseFails
        The server does not answer, or does not let us in.
    OSError
        A PEM file cannot be read.
    """

    def __init__(self, options: PostgresOptions, idle_s: float) -> None:
        try:
            import pg8000.dbapi as driver
        except ImportError:
            raise StartupError(
                "MAMMOSEG_INBOX_DATABASE needs pg8000: pip install '.[replicas]' in the checkout"
            ) from None
        driver.paramstyle = "qmark"
        context = _tls(options)
        self._connection = _asked(
            lambda: driver.Connection(
                options.user,
                host=options.host,
                port=options.port,
                unix_sock=options.socket_file,
                database=options.database,
                password=options.password,
                # False speaks no TLS; None would, where the server does.
                ssl_context=context or False,
                timeout=CONNECT_S,
                application_name="mammoseg",
            )
        )
        self._connection.autocommit = True
        try:
            self._prepare(idle_s)
        except DatabaseFails:
            self.close()
            raise

    def _prepare(self, idle_s: float) -> None:
        settings = {
            "search_path": SCHEMA,
            "statement_timeout": round(STATEMENT_S * 1000),
            "lock_timeout": round(STATEMENT_S * 1000),
            "idle_in_transaction_session_timeout": round(idle_s * 1000),
        }
        self.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))
        self.execute(
            # A commit is on the server's disk when it returns: an answer may promise what it holds.
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run a statement."""
        cursor = self._connection.cursor()
        _asked(lambda: cursor.execute(query, tuple(parameters)))
        return cast(Cursor, cursor)

    def executemany(self, query: str, parameters: Iterable[Sequence[Any]], /) -> None:
        """Run a statement for each of several parameters."""
        for each in parameters:
            self.execute(query, each)

    def close(self) -> None:
        """Close it, whatever its state."""
        with suppress(Exception):
            self._connection.close()


def _tls(options: PostgresOptions) -> ssl.SSLContext | None:
    if options.mode == "disable" or options.socket_file is not None:
        return None
    files = TlsFiles(options.certificate, options.key, options.authorities)
    verify = options.mode.startswith("verify")
    return client_context(files, verify=verify, verify_host=options.mode == "verify-full")


def _asked(ask: Callable[[], _Answer]) -> _Answer:
    """Return an answer; the driver's errors, which quote what was asked and hold UIDs, are ours."""
    from pg8000.exceptions import Error

    try:
        return ask()
    # The driver raises whatever it meets where an answer breaks off.
    except (Error, OSError, struct.error, EOFError, AttributeError, IndexError) as error:
        failure = _failure(error)
    # Here, so that nothing holds on to the driver's error, and by it to a broken connection.
    raise failure


def _failure(error: Exception) -> DatabaseFails:
    said = error.args[0] if error.args else None
    code = str(said.get("C", AWAY)) if isinstance(said, dict) else AWAY
    broken = code == AWAY or code.startswith(_BROKEN)
    return BrokenConnection(code) if broken else DatabaseFails(code)
