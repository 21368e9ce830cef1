import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.sqlite_file import LaterVersion, open_private, prepare, transaction

pytestmark = pytest.mark.integration

SCHEMA = "CREATE TABLE IF NOT EXISTS kept (word TEXT NOT NULL);"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")


def test_a_file_and_those_beside_it_are_their_owners_alone(tmp_path: Path) -> None:
    with closing(open_private(tmp_path / "a.sqlite3", 1.0)) as connection:
        prepare(connection, PRAGMAS, SCHEMA, 1)
        files = list(tmp_path.iterdir())
        assert len(files) == 3
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_schema_may_be_said_again_and_an_older_version_becomes_this_one(tmp_path: Path) -> None:
    for version in (1, 1, 2):
        with closing(open_private(tmp_path / "a.sqlite3", 1.0)) as connection:
            prepare(connection, PRAGMAS, SCHEMA, version)
            with transaction(connection):
                connection.execute("INSERT INTO kept VALUES ('x')")
            assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    with closing(open_private(tmp_path / "a.sqlite3", 1.0)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (3,)
        with pytest.raises(LaterVersion, match="later version of mammoseg"):
            prepare(connection, PRAGMAS, SCHEMA, 1)


def test_a_transaction_that_sqlite_undid_itself_ends_in_the_error_that_was(tmp_path: Path) -> None:
    """As it does when the disk is full: a second ROLLBACK would fail, and its error stand."""
    with closing(open_private(tmp_path / "a.sqlite3", 1.0)) as connection:
        prepare(connection, PRAGMAS, SCHEMA, 1)
        with pytest.raises(sqlite3.OperationalError, match="full"), transaction(connection):
            connection.execute("INSERT INTO kept VALUES ('x')")
            connection.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")
        assert not connection.in_transaction
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
