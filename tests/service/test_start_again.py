"""A start that failed for what passes by itself ends otherwise than one that a setting ended."""

import errno
import sqlite3
from pathlib import Path
from socket import gaierror
from ssl import SSLError

import pytest
import typer

from service.errors import StartupError
from service.exit_status import START_FAILED, TRY_AGAIN
from service.inbox.database import DatabaseFails
from service.inbox.files import Files
from service.inbox.postgres_check import check_postgres
from service.inbox.postgres_connection import BrokenConnection
from service.postgres_options import PostgresOptions
from service.system.listening import cannot_listen
from service.system.passing import may_pass
from service.terminal import fail

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        (errno.EADDRINUSE, True),
        (errno.EADDRNOTAVAIL, True),
        (errno.ENOSPC, True),
        (errno.EIO, True),
        (errno.EACCES, False),
        (errno.ENOENT, False),
        (errno.EROFS, False),
    ],
)
def test_what_the_system_refuses_passes_where_time_alone_may_mend_it(
    number: int, passes: bool
) -> None:
    assert may_pass(OSError(number, "")) is passes
    assert cannot_listen("h", 80, OSError(number, "")).may_pass is passes


def test_a_name_that_is_not_resolved_may_be_later() -> None:
    assert may_pass(gaierror(-2, "Name or service not known"))


def test_openssls_numbers_are_not_the_systems() -> None:
    error = SSLError(errno.EIO, "system call")
    assert not may_pass(error)


def test_a_database_that_is_full_may_have_room_later_and_none_at_all_may_not(
    tmp_path: Path,
) -> None:
    with sqlite3.connect(":memory:") as full:
        full.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.Error) as told:
            full.execute("CREATE TABLE t (a)")
    full.close()
    assert may_pass(told.value)
    text = tmp_path / "text"
    text.write_text("no database" * 100)
    wrong = sqlite3.connect(text)
    with pytest.raises(sqlite3.Error) as told:
        wrong.execute("SELECT * FROM t")
    wrong.close()
    assert not may_pass(told.value)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("a setting", START_FAILED),
        (StartupError("a setting"), START_FAILED),
        (StartupError("a disk", may_pass=True), TRY_AGAIN),
    ],
)
def test_a_command_that_cannot_begin_ends_by_why(reason: str | StartupError, status: int) -> None:
    with pytest.raises(typer.Exit) as ended:
        fail(reason)
    assert ended.value.exit_code == status


def test_an_inbox_on_a_full_disk_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Files, "create", full)
    with pytest.raises(StartupError) as told:
        Files(tmp_path / "inbox")
    assert told.value.may_pass


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (BrokenConnection("away"), True),
        (BrokenConnection("57P03"), True),
        (gaierror(-3, "Temporary failure in name resolution"), True),
        (DatabaseFails("28P01"), False),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
    ],
)
def test_a_database_that_is_away_may_come_back_and_a_wrong_password_may_not(
    error: DatabaseFails | OSError, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("service.inbox.postgres_check.PostgresConnection", refuse)
    with pytest.raises(StartupError) as told:
        check_postgres(PostgresOptions("h", 1, "x", "u", None, "disable"))
    assert told.value.may_pass is passes
