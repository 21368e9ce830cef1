"""Whether a PostgreSQL database is one that the inbox may keep its instances in."""

from collections.abc import Callable, Sequence

from service.errors import StartupError
from service.inbox.database import Connection, DatabaseFails, Row
from service.inbox.postgres_connection import STANDBY, BrokenConnection, PostgresConnection
from service.inbox.postgres_schema import SCHEMA, VERSION
from service.postgres_options import PostgresOptions
from service.system.passing import may_pass

CHECK_S = 10.0
"""How long the doctor's connection may take to answer."""

DURABLE = "SELECT current_setting('fsync') = 'on'"
STANDS_BY = "SELECT current_setting('transaction_read_only') = 'on'"
FOUND = "SELECT coalesce(max(number), 0) FROM version"
MADE = (
    f"SELECT to_regclass('{SCHEMA}.version') IS NOT NULL, "
    "has_database_privilege(current_database(), 'CREATE')"
)
"""Whether the tables are there, and whether they may be made."""


def check_postgres(
    options: PostgresOptions, look: Callable[[Connection, int], None] = lambda *_: None
) -> None:
    """Connect once, and check that this version may work there; nothing is made or changed.

    Parameters
    ----------
    options
        How to connect.
    look
        Is called with the connection and the version of its tables, where there are some.

    Raises
    ------
    StartupError
        It may not, or the server does not answer.
    """
    try:
        connection = PostgresConnection(options, CHECK_S)
    except (DatabaseFails, OSError) as error:
        raise cannot_open(error) from None
    try:
        ((stands_by,),) = connection.execute(STANDS_BY).fetchall()
        if stands_by:
            raise BrokenConnection(STANDBY)
        check_durable(connection.execute(DURABLE).fetchall())
        ((has_tables, may_make),) = connection.execute(MADE).fetchall()
        if has_tables:
            look(connection, version_of(connection.execute(FOUND).fetchall()))
        elif not may_make:
            raise StartupError("the inbox's database does not let its user create a schema")
    except DatabaseFails as error:
        raise cannot_open(error) from None
    finally:
        connection.close()


def cannot_open(error: DatabaseFails | OSError) -> StartupError:
    """Return why the database cannot be opened, and whether that may pass."""
    # Of a PEM file, or as the server said it.
    reason = error.code if isinstance(error, DatabaseFails) else error.strerror
    passes = isinstance(error, BrokenConnection) or may_pass(error)
    return StartupError(f"the inbox's database cannot be opened: {reason}", may_pass=passes)


def check_durable(rows: Sequence[Row]) -> None:
    """Take the answer to `DURABLE`.

    Raises
    ------
    StartupError
        The server may lose what it has committed.
    """
    ((durable,),) = rows
    if not durable:
        raise StartupError("the inbox's database does not keep what it commits: fsync is off")


def version_of(rows: Sequence[Row]) -> int:
    """Return the tables' version by the answer to `FOUND`, 0 where there are none yet.

    Raises
    ------
    StartupError
        It is a later one than this code knows.
    """
    ((found,),) = rows
    if found > VERSION:
        raise StartupError("the inbox was written by a later version of mammoseg")
    return int(found)
