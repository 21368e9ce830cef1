from collections.abc import Callable

import pytest

from service.inbox import instance_store
from service.inbox.inbox import Inbox
from service.inbox.result_rows import queue_results
from service.inbox.states import StoredResult
from tests.service.inbox.bench import make
from tests.service.inbox.conftest import BOTH_DATABASES, mammogram

pytestmark = [pytest.mark.integration, *BOTH_DATABASES]

Receive = Callable[..., object]

PACS, BACKUP = "pacs/dicom-web", "backup/dicom-web"


def deliver_all(inbox: Inbox, destination: str) -> bool:
    complete = False
    while (delivery := inbox.deliveries.due(destination)) is not None:
        complete = inbox.deliveries.delivered(delivery)
    return complete


def state(inbox: Inbox, id: int = 1) -> tuple[str, str | None]:
    entry = inbox.instances.entry(id)
    assert entry is not None
    return entry.state, entry.code


@pytest.fixture(autouse=True)
def two_instances(receive: Receive) -> None:
    receive(mammogram(1), mammogram(2))


def test_the_oldest_is_due_first_and_what_is_worked_on_is_not(inbox: Inbox) -> None:
    assert [entry.id for entry in inbox.processing.due((), 1)] == [1]
    assert [entry.id for entry in inbox.processing.due((1,), 5)] == [2]
    assert inbox.processing.due((1, 2), 5) == []


def test_an_attempt_counts_before_it_is_made_and_puts_off_the_next(inbox: Inbox) -> None:
    inbox.processing.begin(1, 60.0)
    assert [entry.id for entry in inbox.processing.due((), 5)] == [2]
    entry = inbox.instances.entry(1)
    assert entry is not None and entry.attempts == 1


def test_an_instance_is_delivered_once_every_destination_has_every_result(inbox: Inbox) -> None:
    make(inbox, 1, PACS, BACKUP)
    assert state(inbox) == ("processed", None)
    assert len(inbox.instances.deliveries(1)) == 4
    assert not deliver_all(inbox, PACS)
    assert state(inbox) == ("processed", None)
    assert deliver_all(inbox, BACKUP)
    assert state(inbox) == ("delivered", None)
    assert inbox.instances.delivery_counts() == {}


def test_a_destination_that_is_given_up_makes_a_dead_letter_and_others_go_on(
    inbox: Inbox,
) -> None:
    make(inbox, 1, PACS, BACKUP)
    while (delivery := inbox.deliveries.due(BACKUP)) is not None:
        inbox.deliveries.dead(delivery, "http-400")
    assert state(inbox) == ("processed", None)
    assert not deliver_all(inbox, PACS)
    assert state(inbox) == ("dead", "http-400")
    assert inbox.instances.delivery_counts() == {(BACKUP, "dead"): 2}


def test_a_replay_sends_only_what_was_not_delivered(inbox: Inbox) -> None:
    make(inbox, 1, PACS)
    first = inbox.deliveries.due(PACS)
    assert first is not None
    inbox.deliveries.delivered(first)
    second = inbox.deliveries.due(PACS)
    assert second is not None
    inbox.deliveries.dead(second, "unreachable")
    assert inbox.instances.replay([]) == 1
    assert state(inbox) == ("processed", None)
    again = inbox.deliveries.due(PACS)
    assert again is not None and again.result == second.result and again.attempts == 0
    assert inbox.deliveries.delivered(again)
    assert inbox.instances.replay([1]) == 0


def test_a_dead_delivery_may_be_replayed_while_another_waits(inbox: Inbox) -> None:
    make(inbox, 1, PACS, BACKUP)
    while (delivery := inbox.deliveries.due(BACKUP)) is not None:
        inbox.deliveries.dead(delivery, "http-400")
    assert [each.destination for each in inbox.instances.dead_deliveries(9)] == [BACKUP] * 2
    assert inbox.instances.replay([1]) == 1
    assert inbox.instances.dead_deliveries(9) == []
    deliver_all(inbox, PACS)
    assert deliver_all(inbox, BACKUP)


def test_a_replay_processes_what_was_never_processed(inbox: Inbox) -> None:
    inbox.processing.begin(1, 60.0)
    inbox.processing.dead(1, "internal")
    assert [entry.id for entry in inbox.processing.due((), 5)] == [2]
    assert inbox.instances.replay([1, 2, 77]) == 1
    assert [entry.id for entry in inbox.processing.due((), 5)] == [1, 2]


def test_a_replay_sets_aside_what_has_come_with_another_content_since(
    inbox: Inbox, receive: Receive
) -> None:
    inbox.processing.dead(1, "decode-failed")
    receive(mammogram(1, StudyDescription="another"))
    assert state(inbox, 3) == ("received", None)
    assert inbox.instances.replay([]) == 0
    assert state(inbox) == ("set-aside", "uid-known")
    made = make(inbox, 3, PACS)
    deliver_all(inbox, PACS)
    assert inbox.instances.replay([1]) == 0
    assert [entry.id for entry in inbox.processing.due((), 5)] == [2]
    # Nothing that an operator may want to look at is gone before its time.
    aside = inbox.instances.entry(1)
    assert aside is not None and inbox.files.source(aside.digest).exists()
    assert inbox.purge() == 2
    assert not inbox.files.source(aside.digest).exists()
    assert not any(inbox.files.result(each.digest).exists() for each in made)


def test_of_two_dead_letters_of_one_uid_a_replay_revives_the_earlier(
    inbox: Inbox, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.processing.dead(1, "decode-failed")
    receive(mammogram(1, StudyDescription="another"))
    inbox.processing.dead(3, "decode-failed")
    monkeypatch.setattr(instance_store, "REPLAY_STEP", 1)
    assert inbox.instances.replay([]) == 1
    assert (state(inbox), state(inbox, 3)) == (("received", None), ("set-aside", "uid-known"))


def test_a_replay_of_one_that_was_set_aside_still_sends_its_report(
    inbox: Inbox, receive: Receive
) -> None:
    inbox.processing.dead(1, "decode-failed")
    (digest,) = inbox.files.write_results([b"not analysed"])
    with inbox._database.transaction() as connection:
        report = StoredResult("not-run:decode-failed", "2.25.7", digest, 4096)
        queue_results(inbox._database, connection, 1, [report], [PACS], 0.0)
    delivery = inbox.deliveries.due(PACS)
    assert delivery is not None
    inbox.deliveries.dead(delivery, "http-400")
    receive(mammogram(1, StudyDescription="another"))
    assert inbox.instances.replay([]) == 1
    assert state(inbox) == ("set-aside", "uid-known")
    waiting = inbox.deliveries.due(PACS)
    assert waiting is not None and waiting.result.digest == digest


def test_what_waits_for_a_destination_that_is_gone_is_dead(inbox: Inbox) -> None:
    make(inbox, 1, PACS, BACKUP)
    assert inbox.deliveries.bury_unknown([PACS]) == 2
    deliver_all(inbox, PACS)
    assert state(inbox) == ("dead", "destination-unknown")


def test_failed_deliveries_wait(inbox: Inbox) -> None:
    make(inbox, 1, PACS)
    first = inbox.deliveries.due(PACS)
    assert first is not None
    inbox.deliveries.failed(first, "http-503", 60.0)
    second = inbox.deliveries.due(PACS)
    assert second is not None and second.id != first.id
    inbox.deliveries.failed(second, "http-503", -1.0)
    assert inbox.deliveries.due(PACS) is not None
    assert [each.attempts for each in inbox.instances.deliveries(1)] == [1, 1]


def test_purging_forgets_finished_instances_and_their_files_alone(inbox: Inbox) -> None:
    made = make(inbox, 1, PACS)
    assert inbox.purge() == 0
    deliver_all(inbox, PACS)
    assert inbox.purge(older_s=60.0) == 0
    assert inbox.purge() == 1
    assert [entry.id for entry in inbox.instances.entries(None, 9)] == [2]
    assert not any(inbox.files.result(each.digest).exists() for each in made)
    kept = inbox.instances.entry(2)
    assert kept is not None and inbox.files.source(kept.digest).exists()
    inbox.processing.dead(2, "internal")
    assert inbox.purge() == 0
    assert inbox.purge(("dead",)) == 1
    assert inbox.instances.bytes_held() == 0


def test_a_file_that_waits_under_another_instance_is_not_purged(inbox: Inbox) -> None:
    # As where a result was recovered, and its source sent again and processed again.
    (digest,) = inbox.files.write_results([b"the same bytes"])
    result = StoredResult("seg", "2.25.7", digest, 4096)
    inbox.processing.processed(1, [result], [PACS])
    deliver_all(inbox, PACS)
    inbox.processing.processed(2, [result], [PACS])
    assert inbox.purge() == 1
    assert inbox.deliveries.due(PACS) is not None and inbox.files.result(digest).exists()
    deliver_all(inbox, PACS)
    assert inbox.purge() == 1
    assert not inbox.files.result(digest).exists()


def test_what_a_crash_left_is_swept_once_it_is_old(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(inbox, 1, PACS)
    orphan = inbox.files.source("0" * 64)
    orphan.write_bytes(b"named, and not in the database")
    unfinished = inbox.files.incoming / "unfinished"
    unfinished.write_bytes(b"of a process that died")
    inbox.sweep()
    assert orphan.exists() and unfinished.exists()
    monkeypatch.setattr("service.inbox.files.STALE_S", -1.0)
    inbox.sweep()
    assert not orphan.exists() and not unfinished.exists()
    assert all(inbox.files.result(each.digest).exists() for each in made)
    assert all(
        inbox.files.source(entry.digest).exists() for entry in inbox.instances.entries(None, 9)
    )


@pytest.mark.parametrize("refused", [False, True])
def test_what_leads_to_nothing_is_kept_in_a_bounded_number(
    inbox: Inbox, receive: Receive, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    monkeypatch.setattr(instance_store, "MAX_ASIDE", 3)
    monkeypatch.setattr(instance_store, "ASIDE_STEP", 1)
    for number in range(10, 20):
        receive(mammogram(number, Modality="MG" if refused else "CT"))
        if refused:
            (entry,) = (one for one in inbox.instances.entries("received", 1) if one.id > 2)
            inbox.processing.refused(entry.id, "tomosynthesis")
            inbox.processing.source_gone(entry.id)
    receive(mammogram(20))
    kept = inbox.instances.entries("refused" if refused else "set-aside", 100)
    assert [entry.id for entry in kept] == [12, 11, 10]
    # What is to be done is never forgotten.
    assert [entry.id for entry in inbox.instances.entries("received", 100)] == [13, 2, 1]
