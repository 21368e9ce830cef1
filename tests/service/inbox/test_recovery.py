"""A lost, empty or old database: what lies in the folder is entered again, never deleted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from service.errors import UnreadableImage
from service.inbox.inbox import DATABASE_FILE, Inbox
from service.inbox.recovery import Recovered
from service.inbox.states import StoredResult
from service.outputs.dicom.algorithm import MANUFACTURER
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from service.segmenter import Segmenter
from service.settings import Settings
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header
from tests.postgres_server import drop_inbox
from tests.service.inbox.bench import Receive, all_are, quick, sqlite_of, states, work_until
from tests.service.inbox.conftest import STUDY, both_databases, mammogram
from tests.stow_server import stow_server

pytestmark = pytest.mark.integration

PACS = ["pacs"]


def lose_database(settings: Settings, how: str) -> None:
    if (options := settings.postgres_options()) is not None:
        drop_inbox(options)
    for path in settings.inbox.glob(f"{DATABASE_FILE}*"):
        path.unlink()
    if how == "empty":
        (settings.inbox / DATABASE_FILE).touch()


def all_files(settings: Settings) -> set[bytes]:
    return {path.read_bytes() for path in settings.inbox.rglob("*.dcm")}


def results_of(inbox: Inbox, number: int) -> list[StoredResult]:
    """Write results of an instance, as a processor does, with no row yet."""
    header = full_header(SOPInstanceUID=f"1.2.3.4.1.{number}")
    contents = [dicom_file(kind, findings_by_hand(), header) for kind in ("seg", "sr")]
    digests = inbox.files.write_results(contents)
    return [
        StoredResult(kind, f"1.2.9.{number}.{kind == 'sr':d}", digest, 4096)
        for kind, digest in zip(("seg", "sr"), digests, strict=True)
    ]


@both_databases
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_accepted_sources_are_processed_although_the_database_is_lost(
    settings: Settings, segmenter: Segmenter, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Inbox(settings) as inbox, inbox.store_transaction() as transaction:
        for number in (1, 2):
            transaction.begin()
            transaction.write(mammogram(number))
            transaction.end()
        transaction.commit()
    lose_database(settings, how)
    monkeypatch.setattr("service.inbox.files.STALE_S", -1.0)
    with Inbox(settings) as inbox, stow_server() as pacs:
        configured = quick(settings, pacs.url)
        work_until(inbox, configured, segmenter, lambda: len(pacs.received) == 4)
        assert {state for state, _ in states(inbox)} <= {"processed", "delivered"}


@both_databases
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_results_that_nobody_has_are_delivered_although_the_database_is_lost(
    settings: Settings, segmenter: Segmenter, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Inbox(settings) as inbox:
        results_of(inbox, 1)
    kept = all_files(settings)
    lose_database(settings, how)
    monkeypatch.setattr("service.inbox.files.STALE_S", -1.0)
    with Inbox(settings) as inbox, stow_server() as pacs:
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "delivered"))
        assert {file for files in pacs.received.values() for file in files} == kept
        assert inbox.instances.bytes_held() == 0


def test_an_older_backup_loses_nothing(
    inbox: Inbox,
    settings: Settings,
    receive: Receive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram(1))
    with inbox._database.transaction():
        pass
    sqlite_of(inbox)._open.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = tmp_path / "backup"
    shutil.copy(settings.inbox / DATABASE_FILE, backup)
    receive(mammogram(2))
    results_of(inbox, 9)
    inbox.close()
    lose_database(settings, "missing")
    shutil.copy(backup, settings.inbox / DATABASE_FILE)
    before = all_files(settings)
    monkeypatch.setattr("service.inbox.files.STALE_S", -1.0)
    with Inbox(settings) as restored:
        assert restored.recover(PACS) == Recovered(sources=1, results=2, lost=0)
        restored.sweep()
        assert all_files(settings) == before
        assert (
            sorted(state for state, _ in states(restored)) == ["processed"] * 2 + ["received"] * 2
        )
        assert restored.recover(PACS) == Recovered(0, 0, 0)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_result_of_any_kind_is_entered_though_another_image_of_its_study_waits(
    inbox: Inbox, receive: Receive, kind: str
) -> None:
    receive(mammogram(2))
    header = full_header(SOPInstanceUID=f"{STUDY}.1.1", StudyInstanceUID=STUDY)
    inbox.files.write_results([dicom_file(kind, findings_by_hand(), header)])
    assert inbox.recover(PACS) == Recovered(sources=0, results=1, lost=0)
    assert inbox.recover(PACS) == Recovered(0, 0, 0)


def test_what_cannot_be_entered_is_set_apart(
    inbox: Inbox, settings: Settings, receive: Receive
) -> None:
    sources, results = settings.inbox / "sources", settings.inbox / "results"
    contents = {
        sources / f"{'0' * 64}.dcm": b"no DICOM file",
        sources / f"{'1' * 64}.dcm": mammogram(1),
        sources / "notes.txt": b"of an operator",
        sources / "empty.dcm": b"",
        results / f"{'2' * 64}.dcm": mammogram(Manufacturer=MANUFACTURER),
        results / f"{'3' * 64}.dcm": b"\0" * 200,
    }
    for path, content in contents.items():
        path.write_bytes(content)
    assert inbox.recover(PACS) == Recovered(0, 0, lost=len(contents))
    assert sorted(path.read_bytes() for path in inbox.files.lost.iterdir()) == sorted(
        contents.values()
    )
    assert states(inbox) == []
    # Twice the same name.
    for path, content in contents.items():
        path.write_bytes(content)
    inbox.recover(PACS)
    assert len(list(inbox.files.lost.iterdir())) == 2 * len(contents)


@pytest.mark.parametrize("code", ["decode-failed", "decode-limit"])
def test_a_source_that_no_reader_survives_waits_for_the_next_start(
    inbox: Inbox,
    settings: Settings,
    receive: Receive,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
) -> None:
    receive(mammogram(1))
    (path,) = (settings.inbox / "sources").iterdir()
    lose_database(settings, "missing")

    def fail(*_: object) -> None:
        raise UnreadableImage(code, "it may have been killed from outside")

    with Inbox(settings) as later:
        with monkeypatch.context() as patched:
            patched.setattr(type(later.reader), "look_at_file", fail)
            assert later.recover(PACS) == Recovered(0, 0, lost=0)
        assert path.exists() and states(later) == []
        assert later.recover(PACS) == Recovered(1, 0, lost=0)


@both_databases
def test_other_contents_of_a_known_uid_are_set_apart(
    inbox: Inbox, settings: Settings, receive: Receive, tmp_path: Path
) -> None:
    receive(mammogram(1))
    (first,) = (settings.inbox / "sources").iterdir()
    inbox.close()
    aside = tmp_path / first.name
    first.rename(aside)
    lose_database(settings, "missing")
    with Inbox(settings) as again, again.store_transaction() as transaction:
        transaction.begin()
        transaction.write(mammogram(1, PatientID="43"))
        transaction.end()
        transaction.commit()
        aside.rename(first)
        assert again.recover(PACS) == Recovered(0, 0, lost=1)
        assert [path.name for path in again.files.lost.iterdir()] == [f"sources-{first.name}"]


@both_databases
def test_results_that_are_made_again_are_left_alone(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram(1))
    results_of(inbox, 1)
    assert inbox.recover(PACS) == Recovered(0, 0, 0)
    assert states(inbox) == [("received", None)]


@both_databases
def test_a_sweep_deletes_what_is_done_with_and_sets_the_rest_apart(
    inbox: Inbox, settings: Settings, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(mammogram(1), mammogram(2))
    first, second = inbox.instances.entries(None, 9)
    inbox.processing.source_gone(first.id)
    orphan = inbox.files.source("0" * 64)
    orphan.write_bytes(b"x")
    monkeypatch.setattr("service.inbox.files.STALE_S", -1.0)
    inbox.sweep()
    assert not inbox.files.source(first.digest).exists()
    assert inbox.files.source(second.digest).exists()
    assert [path.read_bytes() for path in inbox.files.lost.iterdir()] == [b"x"]


@both_databases
def test_other_contents_of_a_results_uid_are_set_apart(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram(1))
    (entry,) = inbox.instances.entries(None, 9)
    # As if another machine had made other bytes, and came too late to enter them.
    uids = [
        str(dcmread(inbox.files.result(made.digest)).SOPInstanceUID)
        for made in results_of(inbox, 1)
    ]
    made = [StoredResult(str(n), uid, f"{n}" * 64, 4096) for n, uid in enumerate(uids)]
    inbox.processing.processed(entry.id, made, PACS)
    assert inbox.recover(PACS) == Recovered(0, 0, lost=2)
    assert len(inbox.instances.deliveries(entry.id)) == 2


def test_a_file_that_is_sent_again_while_others_are_swept_is_left_alone(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {inbox.files.source(digit * 64) for digit in "01"}
    for path in paths:
        path.write_bytes(b"old")
    inbox.files.sweep(set(), set())
    monkeypatch.setattr("service.inbox.files.STALE_S", 0.0)
    lose = inbox.files.lose

    def lose_as_the_other_comes_again(path: Path) -> None:
        lose(path)
        for other in paths - {path}:
            other.write_bytes(b"new one")
        monkeypatch.setattr("service.inbox.files.STALE_S", 1.0)

    monkeypatch.setattr(inbox.files, "lose", lose_as_the_other_comes_again)
    assert inbox.files.sweep(set(), set()) == 1
    assert [path.read_bytes() for path in paths if path.exists()] == [b"new one"]


def test_a_file_that_another_replica_is_done_with_ends_no_recovery(
    inbox: Inbox, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [inbox.files.source("0" * 64), inbox.files.result("1" * 64)]
    monkeypatch.setattr(inbox.files, "unnamed_sources", lambda known: gone[:1])
    monkeypatch.setattr(inbox.files, "unnamed_results", lambda known: gone[1:])
    assert inbox.recover(PACS) == Recovered(0, 0, 0)


def test_nothing_is_begun_before_all_is_entered(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram(1))
    tries: list[list[tuple[str, str | None]]] = []
    recover: Callable[[list[str]], Recovered] = inbox.recover

    def fail_first(names: list[str]) -> Recovered:
        tries.append(states(inbox))
        if len(tries) == 1:
            raise OSError("the disk")
        return recover(names)

    monkeypatch.setattr(inbox, "recover", fail_first)
    monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.2)
    with stow_server() as pacs:
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "delivered"))
    assert tries == [[("received", None)]] * 2
