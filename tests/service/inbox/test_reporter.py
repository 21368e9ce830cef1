"""Studies are told of instances that were not analysed; with a worker and a destination."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    MammographyCADSRStorage,
)

from service.errors import DeadlineExceeded, Overloaded, UnreadableImage
from service.inbox.inbox import Inbox
from service.inbox.reporter import Reporter
from service.inbox.states import PROCESS_DIED, StoredResult
from service.loading import open_model
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from tests.identity_net import write_identity_net
from tests.service.inbox.bench import Bench, Receive, all_are, states
from tests.service.inbox.conftest import BOTH_DATABASES, STUDY, mammogram, opened, store
from tests.service.inbox.test_processor import process
from tests.service.inbox.test_worker import quick, work_until
from tests.service.outputs.dicom.conftest import iod_errors
from tests.stow_server import StowServer, stored, stow_server

pytestmark = [pytest.mark.integration, *BOTH_DATABASES]

TRUNCATED: dict[str, Any] = {"pixel_data": b"\0" * 100}
BROKEN = UnreadableImage("pixel-data-truncated", "It breaks off.")
CAD, TEXT = str(MammographyCADSRStorage), str(BasicTextSRStorage)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segmenter]:
    model = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    with open_model(model) as segmenter:
        yield segmenter


@pytest.fixture
def pacs() -> Iterator[StowServer]:
    with stow_server() as server:
        yield server


def is_told(inbox: Inbox) -> Callable[[], bool]:
    """Say whether nothing is left to do, to tell or to deliver."""

    def told() -> bool:
        # In this order: what leaves one is in the next.
        if not {state for state, _ in states(inbox)} <= {"refused", "dead", "delivered"}:
            return False
        if inbox.reports.all_untold():
            return False
        return not {state for _, state in inbox.instances.delivery_counts()} & {"waiting", "stored"}

    return told


def documents(pacs: StowServer) -> list[Dataset]:
    """Return what a destination got, in order; nothing twice with different bytes."""
    assert all(len(set(files)) == 1 for files in pacs.received.values())
    return [pydicom.dcmread(BytesIO(files[0])) for files in pacs.received.values()]


def modalities(pacs: StowServer) -> list[str]:
    return sorted(document.Modality for document in documents(pacs))


def words(document: Dataset) -> str:
    texts = [item for item in document.iterall() if item.keyword == "TextValue"]
    (said,) = [str(item.value) for item in texts if str(item.value).startswith("NOT ANALYSED")]
    return said


def predecessors(document: Dataset) -> list[str]:
    return [
        str(instance.ReferencedSOPInstanceUID)
        for study in document.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]


def counted(metrics: Metrics, outcome: str, code: str) -> float | None:
    labels = {"outcome": outcome, "code": code}
    return metrics.registry.get_sample_value("mammoseg_not_run_reports_total", labels)


def fail_with(
    error: Exception, monkeypatch: pytest.MonkeyPatch, segmenter: Segmenter
) -> pytest.MonkeyPatch:
    """Let the segmenter fail until it is undone."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(segmenter, "segment", fail)
    return monkeypatch


def stop(inbox: Inbox, error: Exception) -> None:
    """Have a processor refuse or give up what there is; no reporter runs."""

    def refuse(_: Any) -> list[Any]:
        raise error

    done = all_are(inbox, "refused" if getattr(error, "status", 500) < 500 else "dead")
    process(inbox, refuse, Bench(), done, stopped=lambda: None)


@pytest.mark.parametrize(
    ("elements", "code", "sop_class"),
    [
        ({"NumberOfFrames": "2"}, "multi-frame", CAD),
        ({"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing}, "intent", CAD),
        (TRUNCATED, "pixel-data-truncated", CAD),
        ({"Modality": "CR"}, "modality-not-accepted", CAD),
        ({"SeriesInstanceUID": None}, "source-uids", TEXT),
    ],
)
def test_a_refusal_is_told_in_the_study_at_every_destination(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    tmp_path: Path,
    elements: dict[str, Any],
    code: str,
    sop_class: str,
) -> None:
    receive(mammogram(PatientName="Canary^Patient", **elements))
    metrics = Metrics()
    with stow_server() as second:
        work_until(inbox, quick(settings, pacs.url, second.url), segmenter, is_told(inbox), metrics)
        assert second.received == pacs.received
    assert states(inbox) == [("refused", code)]
    (document,) = documents(pacs)
    assert document.SOPClassUID == sop_class
    assert (document.StudyInstanceUID, document.PatientID) == (STUDY, "42")
    assert document.PatientName == "Canary^Patient"
    assert f"(problem code {code})" in words(document)
    assert counted(metrics, "made", code) == 1
    file = tmp_path / "report.dcm"
    file.write_bytes(next(iter(pacs.received.values()))[0])
    assert iod_errors(file) == []
    assert inbox.instances.bytes_held() == 0
    for folder in ("sources", "results"):
        assert not list((inbox.files.folder / folder).iterdir())


def test_what_is_dead_is_told_and_a_replay_that_succeeds_replaces_the_report(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram())
    configured = quick(settings, pacs.url, inbox_attempts=2)
    with monkeypatch.context() as patched:
        fail_with(DeadlineExceeded("deadline", "It took too long."), patched, segmenter)
        for _ in range(2):
            # Dead again of the same: the same report, which is there already.
            work_until(inbox, configured, segmenter, is_told(inbox))
            assert states(inbox) == [("dead", "deadline")]
            (report,) = documents(pacs)
            assert "It took too long." in words(report) and "given up" in words(report)
            assert inbox.instances.replay([]) == 1
            assert states(inbox) == [("received", None)]
    work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert modalities(pacs) == ["SEG", "SR", "SR"]
    (result,) = [each for each in documents(pacs)[1:] if each.Modality == "SR"]
    assert predecessors(result) == [report.SOPInstanceUID]
    assert all(len(files) == 1 for files in pacs.received.values())
    assert inbox.instances.bytes_held() == 0


def test_an_image_that_killed_the_service_is_told(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram())
    for _ in range(2):
        inbox.processing.begin(1, 0.0)
    configured = quick(settings, pacs.url, inbox_attempts=2)
    work_until(inbox, configured, segmenter, is_told(inbox))
    assert states(inbox) == [("dead", PROCESS_DIED)]
    (report,) = documents(pacs)
    assert "The service ended each time" in words(report)


def test_a_second_failure_of_another_kind_replaces_the_first_report(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram())
    configured = quick(settings, pacs.url, inbox_attempts=1)
    for error in (DeadlineExceeded("deadline", "Late."), Overloaded("no-reader", "None.")):
        with monkeypatch.context() as patched:
            fail_with(error, patched, segmenter)
            work_until(inbox, configured, segmenter, is_told(inbox))
            inbox.instances.replay([])
    first, second = documents(pacs)
    assert predecessors(first) == []
    assert predecessors(second) == [first.SOPInstanceUID]


@pytest.mark.parametrize("purged", [False, True])
@pytest.mark.parametrize("results", ["seg,sr", "seg"])
def test_the_whole_file_that_follows_a_broken_one_replaces_its_report(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    results: str,
    purged: bool,
) -> None:
    receive(mammogram(**TRUNCATED))
    configured = quick(settings, pacs.url, inbox_results=results)
    work_until(inbox, configured, segmenter, is_told(inbox))
    (report,) = documents(pacs)
    if purged:
        assert inbox.purge(("refused",)) == 1
    receive(mammogram())
    work_until(inbox, configured, segmenter, is_told(inbox))
    assert states(inbox)[-1] == ("delivered", None)
    assert modalities(pacs) == ["SEG", "SR", "SR"]
    (result,) = [each for each in documents(pacs)[1:] if each.Modality == "SR"]
    assert predecessors(result) == [report.SOPInstanceUID]


def test_a_broken_file_needs_no_report_once_the_whole_one_was_analysed(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram(**TRUNCATED))
    stop(inbox, BROKEN)
    receive(mammogram())
    work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox))
    assert states(inbox) == [("refused", "pixel-data-truncated"), ("delivered", None)]
    assert modalities(pacs) == ["SEG", "SR"]
    assert not list((inbox.files.folder / "sources").iterdir())


@pytest.mark.parametrize("elements", [{}, {"SeriesInstanceUID": None}], ids=["cad", "text"])
def test_a_kill_between_refusal_and_report_loses_no_report(
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    monkeypatch: pytest.MonkeyPatch,
    elements: dict[str, Any],
) -> None:
    configured = quick(settings, pacs.url)
    with opened(configured) as inbox:
        store(inbox, mammogram(NumberOfFrames="2", **elements))
        stop(inbox, BROKEN)
    with opened(configured) as inbox, monkeypatch.context() as patched:
        # The next life ends when the report is on the disk, and not entered yet.
        patched.setattr(Reporter, "_enter", lambda *_: False)
        written = inbox.files.folder / "results"
        work_until(inbox, configured, segmenter, lambda: bool(list(written.iterdir())))
        assert pacs.received == {}
    with opened(configured) as inbox:
        work_until(inbox, configured, segmenter, is_told(inbox))
        assert modalities(pacs) == ["SR"]
        assert [len(files) for files in pacs.received.values()] == [1]
        assert states(inbox) == [("refused", "pixel-data-truncated")]
        assert not list(written.iterdir())
    with opened(configured) as inbox:
        work_until(inbox, configured, segmenter, is_told(inbox))
    assert [len(files) for files in pacs.received.values()] == [1]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(lambda path: path.write_bytes(b"no DICOM"), "not-dicom"), (Path.unlink, "source-missing")],
)
def test_a_header_that_cannot_be_read_gets_no_report_but_is_logged_and_counted(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], Any],
    why: str,
) -> None:
    receive(mammogram())
    stop(inbox, BROKEN)
    spoil(inbox.files.source(inbox.instances.entries(None, 1)[0].digest))
    metrics = Metrics()
    work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox), metrics)
    assert pacs.received == {}
    assert counted(metrics, "not_made", "pixel-data-truncated") == 1
    assert counted(metrics, "made", "pixel-data-truncated") is None
    written = "".join(capsys.readouterr())
    assert "inbox-not-reported" in written and f"why={why}" in written
    assert inbox.instances.bytes_held() == 0


def test_a_patient_that_is_not_known_gets_no_report(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram(PatientID="a\\b"))
    metrics = Metrics()
    work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox), metrics)
    assert states(inbox) == [("refused", "source-patient-id")]
    assert pacs.received == {}
    assert counted(metrics, "not_made", "source-patient-id") == 1


@pytest.mark.parametrize(
    "error",
    [
        Overloaded("no-reader", "None."),
        UnreadableImage("decode-limit", "The machine is busy."),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_only_delays_a_report(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    receive(mammogram())
    stop(inbox, BROKEN)
    looks: list[None] = []
    look = Reporter._look

    def busy(reporter: Reporter, entry: Any) -> Any:
        looks.append(None)
        if len(looks) < 3:
            raise error
        return look(reporter, entry)

    monkeypatch.setattr(Reporter, "_look", busy)
    work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox))
    assert len(looks) == 3 and modalities(pacs) == ["SR"]


def test_switched_off_nothing_is_told_and_nothing_is_kept(
    settings: Settings, segmenter: Segmenter, pacs: StowServer
) -> None:
    with opened(settings) as inbox:
        # Refused while reports were still on.
        store(inbox, mammogram(1))
        stop(inbox, BROKEN)
    configured = quick(settings, pacs.url, inbox_report_not_run=False)
    with opened(configured) as inbox:
        store(inbox, mammogram(2, NumberOfFrames="2"), mammogram(3, Modality="CR"))
        assert states(inbox)[-1] == ("set-aside", "modality-not-accepted")
        work_until(
            inbox,
            configured,
            segmenter,
            lambda: states(inbox)[1][0] == "refused" and not inbox.reports.all_untold(),
        )
        assert pacs.received == {}
        assert inbox.instances.bytes_held() == 0


def test_what_no_mammogram_may_be_is_set_aside_without_a_report(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram(1, Modality="MR"), mammogram(2, Modality="SR"), mammogram(3))
    work_until(inbox, quick(settings, pacs.url), segmenter, lambda: len(pacs.received) == 2)
    assert modalities(pacs) == ["SEG", "SR"]
    assert [state for state, _ in states(inbox)][:2] == ["set-aside", "set-aside"]


def test_our_own_report_that_comes_back_is_set_aside(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram(NumberOfFrames="2"))
    work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox))
    ((report,),) = pacs.received.values()
    receive(report)
    assert states(inbox)[-1] == ("set-aside", "own-result")


def test_a_report_on_its_way_outlives_a_purge_and_a_dead_one_is_sent_again(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram(NumberOfFrames="2"))
    stop(inbox, BROKEN)
    assert inbox.purge(("refused",)) == 0
    pacs.reply = lambda uid, times: (500, b"")
    configured = quick(settings, pacs.url, delivery_attempts=2)

    def report_is_dead() -> bool:
        return [each.state for each in inbox.instances.dead_deliveries(9)] == ["dead"]

    work_until(inbox, configured, segmenter, report_is_dead)
    assert inbox.instances.replay([]) == 1
    assert states(inbox) == [("refused", "pixel-data-truncated")]
    assert inbox.purge(("refused",)) == 0
    pacs.reply = lambda uid, times: stored(uid)
    work_until(inbox, configured, segmenter, is_told(inbox))
    assert inbox.purge(("refused",)) == 1


def test_sent_again_after_a_purge_it_is_the_same_report(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    for _ in range(2):
        receive(mammogram(NumberOfFrames="2"))
        work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox))
        assert inbox.purge(("refused",)) == 1
    assert [len(files) for files in pacs.received.values()] == [2]
    assert modalities(pacs) == ["SR"]


def test_results_that_were_queued_meanwhile_are_kept_when_a_report_is_delivered(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram())
    stop(inbox, Overloaded("no-reader", "None."))
    work_until(inbox, quick(settings, pacs.url), segmenter, is_told(inbox))
    inbox.instances.replay([])
    inbox.processing.due((), 1)
    (digest,) = inbox.files.write_results([b"result"])
    inbox.processing.processed(1, [StoredResult("sr", "1.2", digest, 4096)], ["pacs"])
    # What the report's deliverer does last.
    assert digest not in inbox.deliveries.results_gone(1)
    assert inbox.instances.bytes_held() >= 4096


def test_a_dead_instance_whose_report_died_too_is_processed_again(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, receive: Receive, pacs: StowServer
) -> None:
    receive(mammogram())
    stop(inbox, Overloaded("no-reader", "None."))
    pacs.reply = lambda uid, times: (400, b"")
    configured = quick(settings, pacs.url)
    work_until(inbox, configured, segmenter, is_told(inbox))
    assert [each.state for each in inbox.instances.dead_deliveries(9)] == ["dead"]
    assert inbox.instances.replay([]) == 1
    assert states(inbox) == [("received", None)]
    pacs.reply = lambda uid, times: stored(uid)
    work_until(inbox, configured, segmenter, all_are(inbox, "delivered"))
    assert modalities(pacs) == ["SEG", "SR", "SR"]
    assert not list((inbox.files.folder / "results").iterdir())
