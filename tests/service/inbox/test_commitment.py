"""Storage commitment: a result counts as delivered once the archive has committed itself to it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import SegmentationStorage

from service.inbox.committer import Committer
from service.inbox.inbox import Inbox
from service.inbox.scp import StoreScp
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from tests.orthanc import AET, running_orthanc
from tests.service.inbox.bench import Receive, all_are, quick, states, work_until
from tests.service.inbox.conftest import SQLITE_AND_LONG_POSTGRESQL, STUDY, mammogram
from tests.store_scp import HANG_UP, report_dataset, send_report, store_scp

pytestmark = [pytest.mark.integration, *SQLITE_AND_LONG_POSTGRESQL]


def deliveries(inbox: Inbox) -> list[tuple[str, str | None]]:
    return [(each.state, each.code) for each in inbox.instances.deliveries(1)]


def all_stored(inbox: Inbox) -> Callable[[], bool]:
    return lambda: {state for state, _ in deliveries(inbox)} == {"stored"}


def test_results_are_delivered_once_the_archive_has_committed_itself(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram(1), mammogram(2))
    metrics = Metrics()
    with store_scp() as archive:
        configured = quick(settings, archive.url(commitment="true"))
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"), metrics)
    assert len(archive.received) == 4
    assert all(len(files) == 1 for files in archive.received.values())
    assert sorted(uid for _, uids in archive.asked for uid in uids) == sorted(archive.received)
    assert inbox.instances.bytes_held() == 0
    assert not list((inbox.files.folder / "results").iterdir())
    name = configured.destinations[0].name
    counted = metrics.registry.get_sample_value
    for outcome in ("stored", "delivered"):
        labels = {"destination": name, "outcome": outcome}
        assert counted("mammoseg_deliveries_total", labels) == 4


def test_nothing_is_delivered_nor_deleted_before_that(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    metrics = Metrics()
    with store_scp() as archive:
        archive.report = lambda transaction, uids: None
        configured = quick(settings, archive.url(commitment="true"))
        name = configured.destinations[0].name

        def shown() -> bool:
            labels = {"destination": name, "state": "stored"}
            return metrics.registry.get_sample_value("mammoseg_inbox_deliveries", labels) == 2

        work_until(inbox, configured, segmenter, shown, metrics)
    assert states(inbox) == [("processed", None)]
    assert deliveries(inbox) == [("stored", None)] * 2
    assert len(list((inbox.files.folder / "results").iterdir())) == 2


def test_what_the_archive_has_lost_is_sent_again(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    """It dies after its answer to C-STORE, before the object is on its disk."""
    receive(mammogram())
    with store_scp() as archive:

        def lost_once(transaction: str, uids: list[str]) -> dict[str, int]:
            return {uid: 0x0112 for uid in uids if len(archive.received[uid]) == 1}

        archive.report = lost_once
        configured = quick(settings, archive.url(commitment="true"))
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert [len(files) for files in archive.received.values()] == [2, 2]
    assert all(len(set(files)) == 1 for files in archive.received.values())


@pytest.mark.parametrize(("reason", "sent"), [(0x0112, 3), (0x0122, 1)])
def test_a_failure_that_stays_is_a_dead_letter_with_its_reason(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    reason: int,
    sent: int,
) -> None:
    receive(mammogram())
    with store_scp() as archive:
        archive.report = lambda transaction, uids: dict.fromkeys(uids, reason)
        configured = quick(settings, archive.url(commitment="true"), delivery_attempts=3)
        work_until(inbox, configured, segmenter, all_are(inbox, "dead"))
        assert deliveries(inbox) == [("dead", f"commitment-{reason:04x}")] * 2
        assert [len(files) for files in archive.received.values()] == [sent, sent]
        archive.report = None
        assert inbox.instances.replay([]) == 1
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))


def test_an_archive_that_does_not_report_in_time_is_asked_again_and_sent_nothing(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with store_scp() as archive:
        archive.report = lambda transaction, uids: {} if len(archive.asked) > 2 else None
        url = archive.url(commitment="true", commitment_timeout_s=0.2)
        work_until(inbox, quick(settings, url), segmenter, all_are(inbox, "delivered"))
    assert [len(files) for files in archive.received.values()] == [1, 1]
    assert len({transaction for transaction, _ in archive.asked}) >= 3


def test_asking_is_bounded(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with store_scp() as archive:
        archive.report = lambda transaction, uids: None
        url = archive.url(commitment="true", commitment_timeout_s=0.1)
        work_until(
            inbox, quick(settings, url, delivery_attempts=3), segmenter, all_are(inbox, "dead")
        )
    assert deliveries(inbox) == [("dead", "commitment-timeout")] * 2


def test_an_archive_that_knows_no_commitment_is_said(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    kept = {SegmentationStorage, "1.2.840.10008.5.1.4.1.1.88.22"}
    with store_scp(classes=kept) as archive:
        configured = quick(settings, archive.url(commitment="true"), delivery_attempts=2)
        work_until(inbox, configured, segmenter, all_are(inbox, "dead"))
    assert deliveries(inbox) == [("dead", "commitment-not-supported")] * 2


def test_a_report_that_comes_after_a_restart_counts(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    scp: StoreScp,
) -> None:
    """On an association of the archive's own, to `mammoseg scp`, while no service runs."""
    receive(mammogram())
    with store_scp() as archive:
        archive.report = lambda transaction, uids: None
        configured = quick(settings, archive.url(commitment="true"))
        work_until(inbox, configured, segmenter, lambda: bool(archive.asked))
        ((transaction, uids),) = archive.asked
        assert send_report(scp.port, report_dataset(transaction, uids, {})) == 0
        assert states(inbox) == [("processed", None)]
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert len(archive.asked) == 1


def test_a_report_that_nobody_asked_for_changes_nothing(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    scp: StoreScp,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receive(mammogram())
    with store_scp() as archive:
        archive.report = lambda transaction, uids: None
        configured = quick(settings, archive.url(commitment="true"))
        work_until(inbox, configured, segmenter, lambda: bool(archive.asked))
        ((transaction, uids),) = archive.asked
        assert send_report(scp.port, report_dataset("2.25.1", uids, {})) == 0
        assert send_report(scp.port, report_dataset(transaction, ["1.2.9"], {})) == 0
        assert inbox.commitments.reported(configured.destinations[0].name) == []
    written = "".join(capsys.readouterr())
    assert written.count("commitment-unknown") == 2
    assert not any(uid in written for uid in (*uids, STUDY, transaction))


def test_without_commitment_any_more_the_archives_word_is_taken(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with store_scp() as archive:
        archive.report = lambda transaction, uids: None
        work_until(
            inbox,
            quick(settings, archive.url(commitment="true")),
            segmenter,
            all_stored(inbox),
        )
        work_until(inbox, quick(settings, archive.url()), segmenter, all_are(inbox, "delivered"))
    assert [len(files) for files in archive.received.values()] == [1, 1]


def test_what_is_stored_at_an_archive_that_is_gone_from_the_settings_is_dead(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with store_scp() as archive, store_scp() as other:
        archive.report = lambda transaction, uids: None
        configured = quick(settings, archive.url(commitment="true"))
        work_until(inbox, configured, segmenter, all_stored(inbox))
        work_until(inbox, quick(settings, other.url()), segmenter, all_are(inbox, "dead"))
    assert deliveries(inbox) == [("dead", "destination-unknown")] * 2


def test_a_lost_answer_to_c_store_makes_the_same_object_again(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram())
    with store_scp() as archive:
        archive.status = lambda uid, times: HANG_UP if times == 1 else 0
        configured = quick(settings, archive.url(commitment="true"))
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert [len(set(files)) for files in archive.received.values()] == [1, 1]


def test_orthanc_commits_itself_by_an_association_of_its_own(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    scp: StoreScp,
    tmp_path: Path,
) -> None:
    receive(mammogram())
    folder = tmp_path / "orthanc"
    folder.mkdir()
    modalities = {"mammoseg": ["MAMMOSEG", "127.0.0.1", scp.port]}
    with running_orthanc(folder, DicomModalities=modalities) as orthanc:
        url = f"dicom://{AET}@127.0.0.1:{orthanc.dicom_port}?commitment=true"
        configured = quick(settings, url, inbox_results="seg,sr,sc")
        work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
        assert sorted(tags["Modality"] for tags in orthanc.tags()) == ["OT", "SEG", "SR"]


def test_what_orthanc_has_deleted_is_sent_again(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    scp: StoreScp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had the object, and answered, and lost it before it was asked for a commitment."""
    receive(mammogram())
    folder = tmp_path / "orthanc"
    folder.mkdir()
    modalities = {"mammoseg": ["MAMMOSEG", "127.0.0.1", scp.port]}
    with running_orthanc(folder, DicomModalities=modalities) as orthanc:
        url = f"dicom://{AET}@127.0.0.1:{orthanc.dicom_port}?commitment=true"
        with monkeypatch.context() as patched:
            patched.setattr(Committer, "ask", _ask_for_nothing)
            work_until(inbox, quick(settings, url), segmenter, all_stored(inbox))
        for instance in orthanc.get("instances"):
            orthanc.delete(f"instances/{instance}")
        assert orthanc.get("instances") == []
        work_until(inbox, quick(settings, url), segmenter, all_are(inbox, "delivered"))
        assert sorted(tags["Modality"] for tags in orthanc.tags()) == ["SEG", "SR"]


async def _ask_for_nothing(committer: Committer, least: int = 1) -> None:
    """Stand for a service that ends before it asks."""
