"""A report is replaced by what becomes of its instance afterwards."""

import pytest

from service.errors import DeadlineExceeded, Overloaded
from service.inbox.inbox import Inbox
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.inbox.bench import Receive, all_are, quick, states, work_until
from tests.service.inbox.conftest import SQLITE_AND_LONG_POSTGRESQL, mammogram
from tests.service.inbox.reports import (
    BROKEN,
    TRUNCATED,
    documents,
    fail_with,
    is_told,
    modalities,
    predecessors,
    stop,
    words,
)
from tests.stow_server import StowServer

pytestmark = [pytest.mark.integration, *SQLITE_AND_LONG_POSTGRESQL]


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
