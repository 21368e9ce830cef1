import sqlite3
from pathlib import Path

import pytest

from service.errors import StartupError
from service.inbox.sqlite import SqliteDatabase

pytestmark = pytest.mark.integration

INSERT = """INSERT INTO entry (sop_instance_uid, sop_class_uid, study_instance_uid, digest, state,
    size, due, received, changed) VALUES ('1.2', '1.2', '1.2', 'x', 'received', 1, 0, 0, 0)"""


def test_a_commit_is_on_the_disk_before_it_returns(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "database")
    assert database.rows("PRAGMA journal_mode")[0][0] == "wal"
    assert database.rows("PRAGMA synchronous")[0][0] == 2
    database.close()


def test_a_transaction_is_done_or_undone(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "database")
    with pytest.raises(KeyError), database.transaction() as connection:
        connection.execute(INSERT)
        raise KeyError
    assert database.rows("SELECT * FROM entry") == []
    with database.transaction() as connection:
        connection.execute(INSERT)
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute(INSERT)
    assert len(database.rows("SELECT * FROM entry")) == 1
    database.close()


def test_two_processes_may_have_it_open(tmp_path: Path) -> None:
    first, second = SqliteDatabase(tmp_path / "database"), SqliteDatabase(tmp_path / "database")
    with first.transaction() as connection:
        connection.execute(INSERT)
    assert len(second.rows("SELECT * FROM entry")) == 1
    first.close()
    second.close()


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "database")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartupError, match="later version"):
        SqliteDatabase(tmp_path / "database")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "database").write_bytes(b"no database" * 1000)
    with pytest.raises(StartupError, match="cannot be opened"):
        SqliteDatabase(tmp_path / "database")
