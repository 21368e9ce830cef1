import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.sqlite_file import LaterVersion, Schema, SqliteFile

pytestmark = pytest.mark.integration

SCHEMA = "CREATE TABLE IF NOT EXISTS kept (word TEXT NOT NULL);"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")
INSERT = "INSERT INTO kept VALUES ('x')"


def opened(folder: Path, version: int = 1) -> SqliteFile:
    return SqliteFile(folder / "a.sqlite3", 1.0, Schema(PRAGMAS, SCHEMA, version))


def count(file: SqliteFile) -> int:
    return int(file.connection.execute("SELECT count(*) FROM kept").fetchone()[0])


def test_a_file_and_those_beside_it_are_their_owners_alone(tmp_path: Path) -> None:
    with closing(opened(tmp_path)):
        files = list(tmp_path.iterdir())
        assert len(files) == 3
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_schema_may_be_said_again_and_an_older_version_becomes_this_one(tmp_path: Path) -> None:
    for version in (1, 1, 2):
        with closing(opened(tmp_path, version)) as file:
            with file.transaction() as connection:
                connection.execute(INSERT)
            assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    with closing(opened(tmp_path, 2)) as file:
        assert count(file) == 3
    with pytest.raises(LaterVersion, match="later version of mammoseg"):
        opened(tmp_path, 1)


def test_a_transaction_that_sqlite_undid_itself_ends_in_the_error_that_was(tmp_path: Path) -> None:
    """As it does when the disk is full: a second ROLLBACK would fail, and its error stand."""
    with closing(opened(tmp_path)) as file:
        with pytest.raises(sqlite3.OperationalError, match="full"), file.transaction() as database:
            database.execute(INSERT)
            database.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")
        assert not file.connection.in_transaction
        assert count(file) == 0


def test_an_end_leaves_alone_what_has_the_names_of_its_files_by_then(tmp_path: Path) -> None:
    earlier = opened(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    with closing(opened(tmp_path)) as later:
        with later.transaction() as connection:
            connection.execute(INSERT)
        assert (earlier.is_replaced, later.is_replaced) == (True, False)
        earlier.close()
        assert not later.is_replaced
