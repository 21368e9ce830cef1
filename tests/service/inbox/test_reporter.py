"""Studies are told of instances that were not analysed; with a worker and a destination."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    MammographyCADSRStorage,
)

from service.errors import Overloaded, UnreadableImage
from service.inbox.inbox import Inbox
from service.inbox.reporter import Reporter
from service.inbox.states import PROCESS_DIED
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.inbox.bench import Receive, quick, states, work_until
from tests.service.inbox.conftest import (
    SQLITE_AND_LONG_POSTGRESQL,
    STUDY,
    mammogram,
    opened,
    store,
)
from tests.service.inbox.reports import (
    BROKEN,
    TRUNCATED,
    counted,
    documents,
    is_told,
    modalities,
    stop,
    words,
)
from tests.service.outputs.dicom.conftest import iod_errors
from tests.stow_server import StowServer, stow_server

pytestmark = [pytest.mark.integration, *SQLITE_AND_LONG_POSTGRESQL]

CAD, TEXT = str(MammographyCADSRStorage), str(BasicTextSRStorage)


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
