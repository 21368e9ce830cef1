"""The database that replicas share: away, started anew, set up wrongly, or of another version."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from service.errors import Overloaded, StartupError
from service.inbox.database import DatabaseFails
from service.inbox.inbox import Inbox
from service.inbox.postgres_check import check_postgres
from service.inbox.postgres_connection import PostgresConnection
from service.inbox.postgres_schema import SCHEMA
from service.postgres_options import PostgresOptions
from service.settings import Settings
from tests.postgres_server import PostgresServer
from tests.service.inbox.bench import states
from tests.service.inbox.conftest import ON_POSTGRESQL, mammogram, store
from tests.service.inbox.replicas import at_once, lease_of
from tests.waiting import comes_true

pytestmark = [pytest.mark.integration, *ON_POSTGRESQL]


def test_while_the_database_is_away_nothing_is_taken_and_then_all_goes_on(
    inbox: Inbox, postgres: PostgresServer
) -> None:
    store(inbox, mammogram(1))
    postgres.stop()
    try:
        with pytest.raises(Overloaded) as refused:
            store(inbox, mammogram(2))
        assert refused.value.code == "inbox-database-away"
        assert inbox.is_away
        with pytest.raises(DatabaseFails):
            inbox.processing.due((), 1)
    finally:
        postgres.start()
    store(inbox, mammogram(2))
    assert not inbox.is_away
    assert len(states(inbox)) == 2
    assert not list(inbox.files.incoming.iterdir())


def test_a_lease_is_probed_and_renewed_by_itself(
    inbox: Inbox, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inbox.replica_lease.PROBE_S", 0.1)
    inbox.lease.stop()
    lease_of(inbox)._lease_s = 3.0
    inbox.lease.start(())
    postgres.stop()
    try:
        assert comes_true(lambda: inbox.is_away)
    finally:
        postgres.start()
    assert comes_true(lambda: not inbox.is_away)


def test_a_transaction_in_which_a_replica_pauses_is_undone(
    settings: Settings, inbox: Inbox, other: Inbox
) -> None:
    store(inbox, mammogram(1))
    short = Settings.model_validate(settings.model_dump() | {"inbox_lease_s": 3.0})
    with (
        Inbox(short) as paused,
        pytest.raises(DatabaseFails),
        paused._database.transaction() as connection,
    ):
        connection.execute("UPDATE entry SET attempts = 7")
        time.sleep(4.0)
        connection.execute("SELECT 1")
    assert [entry.attempts for entry in other.processing.due((), 1)] == [0]


def test_a_database_that_does_not_sync_is_refused(
    settings: Settings, postgres: PostgresServer
) -> None:
    postgres.stop()
    postgres.start("-c", "fsync=off")
    try:
        with pytest.raises(StartupError, match="fsync is off"):
            Inbox(settings)
    finally:
        postgres.stop()
        postgres.start()


def test_a_commit_is_on_the_disk_whatever_the_servers_default(
    settings: Settings, postgres: PostgresServer
) -> None:
    postgres.stop()
    postgres.start("-c", "synchronous_commit=off")
    try:
        with Inbox(settings) as inbox:
            assert inbox._database.rows("SHOW synchronous_commit")[0][0] == "on"
    finally:
        postgres.stop()
        postgres.start()


def test_replicas_that_start_at_once_make_the_tables_once(settings: Settings) -> None:
    opened = at_once(*(lambda: Inbox(settings) for _ in range(3)))
    for each in opened:
        assert isinstance(each, Inbox)
        each.close()


def test_a_database_of_a_later_version_is_left_alone(inbox: Inbox, settings: Settings) -> None:
    with inbox._database.transaction() as connection:
        connection.execute("INSERT INTO version VALUES (99)")
    with pytest.raises(StartupError, match="later version"):
        Inbox(settings)


def test_a_wrong_password_ends_the_start_without_showing_any(settings: Settings) -> None:
    settings.inbox_database_password_file.with_name("wrong").write_text("not this one")
    wrong = settings.inbox_database_password_file.with_name("wrong")
    changed = settings.model_dump() | {"inbox_database_password_file": wrong}
    with pytest.raises(StartupError) as refused:
        Inbox(Settings.model_validate(changed))
    assert str(refused.value) == "the inbox's database cannot be opened: 28P01"


def test_the_doctors_look_makes_nothing_and_refuses_what_a_start_would(
    settings: Settings, postgres: PostgresServer
) -> None:
    postgres.emptied()
    options = settings.postgres_options()
    assert options is not None
    check_postgres(options)
    connection = PostgresConnection(options, 60.0)
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = ?"
    assert tuple(connection.execute(schemas, (SCHEMA,)).fetchone()) == (0,)
    connection.close()
    with Inbox(settings) as inbox:
        check_postgres(options)
        with inbox._database.transaction() as transaction:
            transaction.execute("INSERT INTO version VALUES (99)")
    with pytest.raises(StartupError, match="later version"):
        check_postgres(options)
    with pytest.raises(StartupError, match="28P01"):
        check_postgres(replace(options, password="not this one"))


@contextmanager
def read_only(options: PostgresOptions) -> Iterator[None]:
    """Let new sessions write nothing, as a server that stands by does."""
    connection = PostgresConnection(options, 60.0)
    alter = f"ALTER DATABASE {options.database}"
    connection.execute(f"{alter} SET default_transaction_read_only = on")
    try:
        yield
    finally:
        connection.execute(f"{alter} RESET default_transaction_read_only")
        connection.close()


def test_a_server_that_stands_by_is_waited_for(settings: Settings) -> None:
    options = settings.postgres_options()
    assert options is not None
    Inbox(settings).close()
    with read_only(options):
        for start in (lambda: Inbox(settings), lambda: check_postgres(options)):
            with pytest.raises(StartupError, match="cannot be opened: 25006") as refused:
                start()
            assert refused.value.may_pass
    check_postgres(options)
    Inbox(settings).close()
