"""The worker with a small model and a destination that answers as each test wants."""

import asyncio
import fcntl
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SegmentationStorage
from structlog.testing import capture_logs

from service.destinations.stow import StowClient
from service.inbox.inbox import Inbox
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from tests.ports import free_port
from tests.service.inbox.bench import Receive, all_are, quick, sqlite_of, states, work_until
from tests.service.inbox.conftest import STUDY, mammogram
from tests.stow_server import Reply, failed, stored, stow_server

pytestmark = pytest.mark.integration


def test_results_reach_every_destination_and_the_files_are_gone(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram(1), mammogram(2))
    metrics = Metrics()
    with stow_server() as first, stow_server() as second:
        configured = quick(settings, first.url, second.url)
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"), metrics)
    assert first.received == second.received
    assert len(first.received) == 4
    assert all(len(files) == 1 for files in first.received.values())
    assert inbox.instances.bytes_held() == 0
    for folder in ("incoming", "sources", "results"):
        assert not list((inbox.files.folder / folder).iterdir())
    name = configured.destinations[0].name
    assert metrics.deliveries.labels(name, "delivered")._value.get() == 4


def test_files_are_kept_when_that_is_wanted(settings: Settings, segmenter: Segmenter) -> None:
    with stow_server() as pacs:
        configured = quick(settings, pacs.url, inbox_keep_files=True)
        with Inbox(configured) as inbox:
            with inbox.store_transaction() as transaction:
                transaction.begin()
                transaction.write(mammogram())
                transaction.end()
                transaction.commit()
            work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
            (entry,) = inbox.instances.entries(None, 9)
            assert inbox.files.source(entry.digest).read_bytes() == mammogram()
            made = [each.result for each in inbox.instances.deliveries(entry.id)]
            sent = sorted(file for (file,) in pacs.received.values())
            assert sorted(inbox.files.result(each.digest).read_bytes() for each in made) == sent


def test_a_lost_answer_makes_the_same_object_again(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: stored(uid) if times > 2 else None
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "delivered"))
    assert [len(files) for files in pacs.received.values()] == [3, 3]
    assert all(len(set(files)) == 1 for files in pacs.received.values())


def test_tries_are_bounded_and_a_replay_starts_anew(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: (500, b"")
        configured = quick(settings, pacs.url, delivery_attempts=3)
        work_until(inbox, configured, segmenter, all_are(inbox, "dead"))
        assert states(inbox) == [("dead", "http-500")]
        assert [len(files) for files in pacs.received.values()] == [3, 3]
        assert inbox.instances.bytes_held() > 0
        pacs.reply = lambda uid, times: stored(uid)
        assert inbox.instances.replay([]) == 1
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert all(len(set(files)) == 1 for files in pacs.received.values())


def test_an_error_of_the_program_at_a_destination_counts_as_an_attempt_and_holds_up_nothing(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram())
    really = StowClient.store

    async def broken(client: StowClient, file: Path, *arguments: Any) -> int | None:
        if SegmentationStorage.encode() in await asyncio.to_thread(file.read_bytes):
            raise TypeError("Doe^Jane")
        return await really(client, file, *arguments)

    monkeypatch.setattr(StowClient, "store", broken)
    with stow_server() as pacs, capture_logs() as lines:
        configured = quick(settings, pacs.url, delivery_attempts=3)
        work_until(inbox, configured, segmenter, all_are(inbox, "dead"))
    outcome = {each.result.kind: each.state for each in inbox.instances.deliveries(1)}
    assert outcome == {"seg": "dead", "sr": "delivered"}
    assert states(inbox) == [("dead", "internal")]
    faults = [line for line in lines if line["event"] == "destination-fault"]
    assert len(faults) == 3
    assert {(line["destination"], line["error"]) for line in faults} == {
        (configured.destinations[0].name, "TypeError")
    }
    assert "Doe" not in str(lines)


def test_what_a_destination_will_never_take_is_dead_at_once(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())

    def no_segmentations(uid: str, times: int) -> Reply:
        segmentation = SegmentationStorage.encode() in pacs.received[uid][0]
        return failed(uid, 0xA900) if segmentation else stored(uid)

    with stow_server() as pacs:
        pacs.reply = no_segmentations
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "dead"))
    outcome = {each.result.kind: each.state for each in inbox.instances.deliveries(1)}
    assert outcome == {"seg": "dead", "sr": "delivered"}
    assert states(inbox) == [("dead", "failure-a900")]


def test_a_destination_that_comes_back_gets_what_waited(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    port = free_port()
    configured = quick(settings, f"http://127.0.0.1:{port}/dicom-web", delivery_attempts=1000)

    def tried() -> bool:
        return any(each.attempts > 1 for each in inbox.instances.deliveries(1))

    work_until(inbox, configured, segmenter, tried)
    assert states(inbox) == [("processed", None)]
    with stow_server(port) as pacs:
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert len(pacs.received) == 2


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"NumberOfFrames": "2"}, "multi-frame"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}, "intent"),
        ({"SeriesInstanceUID": None}, "source-uids"),
        ({"pixel_data": b"\0" * 100}, "pixel-data-truncated"),
    ],
)
def test_what_the_model_must_not_judge_is_listed_and_not_tried_again(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    elements: dict[str, Any],
    code: str,
) -> None:
    receive(mammogram(**elements))

    def is_done_with() -> bool:
        return [(entry.state, entry.size) for entry in inbox.instances.entries(None, 9)] == [
            ("refused", 0)
        ]

    work_until(inbox, settings, segmenter, is_done_with)
    assert states(inbox) == [("refused", code)]
    (entry,) = inbox.instances.entries("refused", 9)
    assert (entry.attempts, entry.size) == (1, 0)
    assert not inbox.files.source(entry.digest).exists()


def test_two_services_on_one_inbox_do_not_work_on_it_together(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with stow_server() as pacs, (inbox.files.folder / "worker.lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        started = time.monotonic()
        work_until(
            inbox,
            quick(settings, pacs.url),
            segmenter,
            lambda: time.monotonic() - started > 0.3,
        )
        assert states(inbox) == [("received", None)]
        fcntl.flock(other, fcntl.LOCK_UN)
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "delivered"))


def test_the_metrics_show_how_the_inbox_stands(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram(1), mammogram(2, Modality="SR"))
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: (400, b"")
        configured = quick(settings, pacs.url)
        name = configured.destinations[0].name
        metrics = Metrics()
        value = metrics.registry.get_sample_value

        def shown() -> bool:
            labels = {"destination": name, "state": "dead"}
            return value("mammoseg_inbox_deliveries", labels) == 2

        work_until(inbox, configured, segmenter, shown, metrics)
    assert value("mammoseg_inbox_instances", {"state": "dead"}) == 1
    assert value("mammoseg_inbox_instances", {"state": "set-aside"}) == 1
    assert value("mammoseg_inbox_bytes") == inbox.instances.bytes_held() > 0


def test_log_lines_hold_no_uid(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receive(mammogram(1, PatientName="MUSTERMANN^ERIKA"), mammogram(2, NumberOfFrames="2"))
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: (500, b"MUSTERMANN") if times == 1 else stored(uid)
        work_until(
            inbox,
            quick(settings, pacs.url),
            segmenter,
            lambda: {state for state, _ in states(inbox)} == {"delivered", "refused"},
        )
    written = "".join(capsys.readouterr())
    assert "inbox-delivered" in written and "inbox-refused" in written
    for mark in ("MUSTERMANN", STUDY, *pacs.received):
        assert mark not in written


def test_the_metrics_show_for_how_long_the_oldest_has_waited(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    assert inbox.processing.oldest_s() == 0 and inbox.deliveries.oldest_s() == {}
    receive(mammogram(1))
    sqlite_of(inbox)._time._offset += 100.0
    receive(mammogram(2))
    assert 100 <= inbox.processing.oldest_s() < 160
    metrics = Metrics()
    value = metrics.registry.get_sample_value
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: (503, b"")
        configured = quick(settings, pacs.url, delivery_attempts=1000)
        labels = {"destination": configured.destinations[0].name}

        def shown() -> bool:
            waiting = value("mammoseg_inbox_deliveries", labels | {"state": "waiting"})
            return waiting == 4 and value("mammoseg_inbox_oldest_seconds") == 0

        work_until(inbox, configured, segmenter, shown, metrics)
    sqlite_of(inbox)._time._offset += 50.0
    assert 50 <= inbox.deliveries.oldest_s()[labels["destination"]] < 110
    assert value("mammoseg_outbox_oldest_seconds", labels) < 60
    assert value("mammoseg_inbox_max_bytes") == 64 << 20
    assert value("mammoseg_delivery_seconds_count", labels) >= 1
    judged = [
        value("mammoseg_images_total", {"source": "inbox", "outcome": outcome})
        for outcome in ("lesion", "no_lesion")
    ]
    assert sum(count or 0 for count in judged) == 2


def test_refusals_of_the_inbox_are_counted_by_code(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram(NumberOfFrames="2"))
    metrics = Metrics()
    work_until(inbox, settings, segmenter, all_are(inbox, "refused"), metrics)
    value = metrics.registry.get_sample_value
    assert value("mammoseg_refusals_total", {"source": "inbox", "code": "multi-frame"}) == 1
    assert value("mammoseg_images_total", {"source": "inbox", "outcome": "refused"}) == 1
