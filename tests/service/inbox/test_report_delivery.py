"""Reports on their way: what comes back, what a purge leaves, what is sent again."""

import pytest

from service.errors import Overloaded
from service.inbox.inbox import Inbox
from service.inbox.states import StoredResult
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.inbox.bench import Receive, all_are, quick, states, work_until
from tests.service.inbox.conftest import BOTH_DATABASES, mammogram
from tests.service.inbox.reports import BROKEN, is_told, modalities, stop
from tests.stow_server import StowServer, stored

pytestmark = [pytest.mark.integration, *BOTH_DATABASES]


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
