"""A database's file is replaced under an open inbox: nothing is promised that nobody will find."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import Overloaded
from service.inbox.inbox import DATABASE_FILE, Inbox
from service.inbox.scp import StoreScp
from service.inbox.sqlite import SqliteDatabase
from service.inbox.worker import InboxWorker
from service.segmenter import Segmenter
from service.settings import Settings
from service.system.sqlite_file import FileReplaced
from tests.service.inbox.bench import Receive, all_are, quick, states, work_until
from tests.service.inbox.conftest import mammogram, store
from tests.service.inbox.test_worker_faults import until, watched
from tests.stow_server import stow_server

pytestmark = pytest.mark.integration


def backup_of(file: Path) -> Path:
    backup = file.with_name("backup")
    connection = sqlite3.connect(file)
    connection.execute("VACUUM INTO ?", (str(backup),))
    connection.close()
    return backup


def delete(file: Path) -> None:
    for found in file.parent.glob(f"{file.name}*"):
        found.unlink()


def put_back(backup: Path, file: Path) -> None:
    delete(file)
    backup.rename(file)


@pytest.fixture
def file(settings: Settings) -> Path:
    return settings.inbox / DATABASE_FILE


def test_what_comes_after_a_backup_was_put_back_is_found_there(
    inbox: Inbox, settings: Settings, file: Path, receive: Receive
) -> None:
    receive(mammogram(1))
    put_back(backup_of(file), file)
    with Inbox(settings) as later:
        store(inbox, mammogram(2))
        assert states(later) == [("received", None)] * 2
        # Closed with its earlier file: the log that has its log's name is another's.
        inbox.close()
        store(later, mammogram(3))
        with Inbox(settings) as last:
            assert len(states(last)) == 3


def test_the_dimse_door_goes_on_with_a_backup_that_was_put_back(
    inbox: Inbox, settings: Settings, file: Path, scp: StoreScp, send: Callable[..., str]
) -> None:
    backup = backup_of(file)
    assert "(Success)" in send(scp, mammogram(1), "-xe")
    delete(file)
    assert "Refused: OutOfResources" in send(scp, mammogram(1), "-xe")
    backup.rename(file)
    assert "(Success)" in send(scp, mammogram(1), "-xe")
    with Inbox(settings) as later:
        assert states(later) == [("received", None)]


def make_empty(file: Path) -> None:
    delete(file)
    file.touch(mode=0o600)


def delete_the_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def move(file: Path) -> None:
    file.rename(file.with_name("moved"))


@pytest.mark.parametrize("how", [delete, make_empty, delete_the_log, move])
def test_where_there_is_none_to_go_on_with_nothing_is_taken(
    inbox: Inbox, file: Path, receive: Receive, how: Callable[[Path], None]
) -> None:
    receive(mammogram(1))
    how(file)
    with pytest.raises(Overloaded) as refused:
        store(inbox, mammogram(2))
    assert (refused.value.code, refused.value.status) == ("inbox-fails", 503)
    assert refused.value.retry_after_s


def test_one_that_is_replaced_while_a_transaction_runs_fails_it(tmp_path: Path) -> None:
    file = tmp_path / "database"
    database = SqliteDatabase(file)
    backup = backup_of(file)
    with pytest.raises(FileReplaced), database.transaction() as connection:
        connection.execute("DELETE FROM entry")
        put_back(backup, file)
    assert database.rows("SELECT count(*) FROM entry") == [(0,)]
    database.close()


def test_a_worker_ends_with_its_database_and_the_next_takes_in_what_the_new_one_lacks(
    inbox: Inbox,
    settings: Settings,
    file: Path,
    segmenter: Segmenter,
    receive: Receive,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backup = backup_of(file)

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        receive(mammogram(1))
        await until(lambda: all_are(inbox, "processed")())
        put_back(backup, file)
        # A loop may meet another error of the file's before one sees that it was replaced.
        await until(lambda: worker._task is not None and worker._task.done())
        assert worker.is_failing
        # Ids of rows that it may still hold are others' in the new file.
        with pytest.raises(Overloaded, match="cannot be written"):
            store(inbox, mammogram(2))

    watched(inbox, quick(settings, "http://127.0.0.1:9/dicom-web"), segmenter, watch)
    written = "".join(capsys.readouterr())
    assert "inbox-ended" in written and "FileReplaced" in written
    assert "never retrieved" not in written
    with stow_server() as pacs, Inbox(settings) as later:
        assert states(later) == []
        work_until(later, quick(settings, pacs.url), segmenter, all_are(later, "delivered"))
        assert len(states(later)) == 2


def test_one_that_waits_for_the_lock_works_on_what_has_the_name_then(
    inbox: Inbox, settings: Settings, file: Path, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram(1))
    put_back(backup_of(file), file)
    with stow_server() as pacs:
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "delivered"))
    with Inbox(settings) as later:
        assert states(later) == [("delivered", None)]
