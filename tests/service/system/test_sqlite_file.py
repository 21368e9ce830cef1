import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from service.system.sqlite_file import LaterVersion, Schema, SqliteFile, check

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


KILLED = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in ("journal_mode=WAL", "wal_autocheckpoint=0", "user_version=1"):
    database.execute("PRAGMA " + pragma)
database.execute("CREATE TABLE kept (word TEXT NOT NULL)")
for table in range(40):
    database.execute(f"CREATE TABLE t{table} (word TEXT NOT NULL)")
database.execute("PRAGMA wal_checkpoint(PASSIVE)")
for table in range(40, 80):
    database.execute(f"CREATE TABLE t{table} (word TEXT NOT NULL)")
os.kill(os.getpid(), signal.SIGKILL)
"""
"""Leaves a log behind whose pages are not all in the file."""


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    """A file of a process that was killed as a checkpoint of it had met a full disk.

    Its first page, which counts all pages, was brought into the file, and the last were not.
    """
    file = tmp_path / "a.sqlite3"
    done = subprocess.run([sys.executable, "-c", KILLED, str(file)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    log = (tmp_path / "a.sqlite3-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    frames = [log[at : at + 24 + page] for at in range(32, len(log), 24 + page)]
    first = [frame for frame in frames if int.from_bytes(frame[:4], "big") == 1][-1]
    with file.open("r+b") as opened:
        opened.write(first[24:])
    return file


def test_a_file_whose_checkpoint_met_a_full_disk_is_well_with_its_log(left_behind: Path) -> None:
    folder = left_behind.parent
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    check(left_behind, 1)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before
    with pytest.raises(LaterVersion):
        check(left_behind, 0)
    # Without its log it is what it seems to be.
    os.unlink(f"{left_behind}-wal")
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        check(left_behind, 1)


def test_the_look_at_a_file_with_its_log_holds_up_nobody_who_writes(left_behind: Path) -> None:
    with closing(sqlite3.connect(left_behind, timeout=0.0, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute(INSERT)
        check(left_behind, 1)
        database.execute("COMMIT")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM kept").fetchone() == (1,)


def test_a_broken_file_is_broken_with_its_log_too(left_behind: Path) -> None:
    with left_behind.open("r+b") as opened:
        opened.write(b"no database" * 10)
    log = Path(f"{left_behind}-wal")
    log.write_bytes(log.read_bytes()[:32])
    with pytest.raises(sqlite3.DatabaseError):
        check(left_behind, 1)


def test_where_the_disk_has_no_room_for_a_copy_memory_has(
    left_behind: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str] = []
    real = os.mkdir

    def note(path: str, *arguments: int, **named: int) -> None:
        made.append(str(path))
        real(path, *arguments, **named)

    full = tmp_path / "full"
    full.mkdir()
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr("service.system.sqlite_copy.gettempdir", lambda: str(full))
    monkeypatch.setattr("service.system.sqlite_copy.MEMORY", str(tmp_path))
    monkeypatch.setattr(
        "service.system.sqlite_copy.shutil.disk_usage",
        lambda place: usage if place == str(full) else type("Usage", (), {"free": 2**30}),
    )
    monkeypatch.setattr("os.mkdir", note)
    check(left_behind, 1)
    assert [Path(path).parent for path in made] == [tmp_path]
