from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.inbox.inbox import Inbox
from service.inbox.states import StoredResult
from tests.service.inbox.conftest import STUDY, mammogram

pytestmark = pytest.mark.integration

Run = Callable[..., Result]


@pytest.fixture
def run(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `mammoseg inbox ...` on the inbox."""
    monkeypatch.setenv("MAMMOSEG_INBOX", str(inbox.files.folder))
    monkeypatch.setattr("service.inbox.commands.console.width", 200)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["inbox", *arguments])

    return call


@pytest.fixture(autouse=True)
def three(inbox: Inbox, receive: Callable[..., object]) -> None:
    """One that waits, one whose result could not be delivered, one that was refused."""
    receive(*(mammogram(number, PatientName="MUSTERMANN^ERIKA") for number in (1, 2, 3)))
    (digest,) = inbox.files.write_results([b"result"])
    inbox.processing.processed(2, [StoredResult("sr", "2.25.7", digest, 4096)], ["pacs/dicom-web"])
    delivery = inbox.deliveries.due("pacs/dicom-web")
    assert delivery is not None
    inbox.deliveries.dead(delivery, "http-400")
    inbox.processing.refused(3, "multi-frame")


def test_the_list_tells_states_and_codes_and_nothing_of_the_patient(run: Run) -> None:
    said = run("list").output
    assert "1 dead, 1 received, 1 refused" in said
    assert "multi-frame" in said and "http-400" in said
    assert "MUSTERMANN" not in said and STUDY not in said
    of_one_state = run("list", "--state", "refused").output
    assert "multi-frame" in of_one_state and "http-400" not in of_one_state


def test_dead_letters_are_listed_with_what_was_not_delivered(run: Run) -> None:
    said = run("dead").output
    assert "pacs/dicom-web" in said and "http-400" in said and "sr" in said
    assert "multi-frame" not in said


def test_one_is_shown_by_its_uids(run: Run) -> None:
    said = run("show", "2").output
    assert f"{STUDY}.1.2" in said and "2.25.7" in said and "pacs/dicom-web" in said
    assert "MUSTERMANN" not in said
    assert run("show", "77").exit_code == 1


def test_dead_letters_are_replayed(run: Run, inbox: Inbox) -> None:
    assert run("replay").exit_code == 2
    assert run("replay", "1").exit_code == 1
    assert "1 replayed" in run("replay", "--all").output
    assert inbox.deliveries.due("pacs/dicom-web") is not None
    assert run("replay", "2").exit_code == 1


def test_finished_ones_are_forgotten_and_dead_ones_only_when_asked(run: Run, inbox: Inbox) -> None:
    assert "0 forgotten" in run("purge", "--older-days", "1").output
    assert "1 forgotten" in run("purge").output
    assert "1 forgotten" in run("purge", "--state", "dead").output
    assert [entry.state for entry in inbox.instances.entries(None, 9)] == ["received"]
    assert not list((inbox.files.folder / "results").iterdir())


def test_a_dead_one_that_is_named_is_forgotten_and_one_that_waits_is_not(
    run: Run, inbox: Inbox
) -> None:
    before = {entry.state: entry.id for entry in inbox.instances.entries(None, 9)}
    assert run("purge", str(before["dead"])).exit_code == 0
    assert run("purge", str(before["received"]), "77").exit_code == 1
    after = {entry.state for entry in inbox.instances.entries(None, 9)}
    assert after == before.keys() - {"dead"}


def test_where_there_is_no_inbox_none_is_made(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAMMOSEG_INBOX", str(tmp_path / "nowhere"))
    assert run("list").exit_code == 2
    assert not (tmp_path / "nowhere").exists()


def test_the_door_needs_a_destination(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAMMOSEG_INBOX", str(tmp_path / "nowhere"))
    answer = CliRunner().invoke(app, ["scp"])
    assert answer.exit_code == 2
    assert not (tmp_path / "nowhere").exists()
