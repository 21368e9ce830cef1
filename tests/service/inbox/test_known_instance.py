"""An instance comes again: nothing changes, unless its file is needed and gone."""

import pytest

from service.inbox.inbox import Inbox
from service.inbox.states import DEAD, StoredResult
from tests.service.inbox.bench import Receive, states
from tests.service.inbox.conftest import BOTH_DATABASES, mammogram

pytestmark = [pytest.mark.integration, *BOTH_DATABASES]

REASON = "The file of this image is gone."


def lose_sources(inbox: Inbox) -> None:
    for path in (inbox.files.folder / "sources").iterdir():
        path.unlink()


def source(inbox: Inbox) -> bytes:
    (entry,) = inbox.instances.entries(None, 9)
    return inbox.files.source(entry.digest).read_bytes()


def test_one_whose_file_is_gone_before_it_was_processed_is_kept(
    inbox: Inbox, receive: Receive
) -> None:
    receive(mammogram())
    lose_sources(inbox)
    receive(mammogram())
    assert source(inbox) == mammogram()
    assert states(inbox) == [("received", None)]


@pytest.mark.parametrize("reason", [None, REASON])
def test_one_that_was_given_up_for_want_of_its_file_is_processed_when_it_comes_again(
    inbox: Inbox, receive: Receive, reason: str | None
) -> None:
    receive(mammogram())
    inbox.processing.dead(1, "source-missing", reason)
    receive(mammogram())
    assert states(inbox) == [("dead", "source-missing")], "its file is there: nothing changes"
    lose_sources(inbox)
    receive(mammogram())
    assert source(inbox) == mammogram()
    assert states(inbox) == [("received", None)]
    assert inbox.reports.all_untold() == []
    assert inbox.instances.bytes_held() > 0


def test_one_that_was_done_with_takes_its_space_again(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())
    held, digests = inbox.instances.bytes_held(), inbox.instances.digests_held()
    inbox.processing.dead(1, "source-missing")
    lose_sources(inbox)
    inbox.processing.source_gone(1)
    assert inbox.instances.bytes_held() == 0
    receive(mammogram())
    assert inbox.instances.bytes_held() == held > 0
    # Else its file would be taken for one that nobody needs.
    assert inbox.instances.digests_held() == digests


def test_one_that_comes_twice_in_one_transaction_is_kept_once(
    inbox: Inbox, receive: Receive
) -> None:
    receive(mammogram())
    lose_sources(inbox)
    receive(mammogram(), mammogram())
    receive(mammogram(2), mammogram(2))
    assert len(list((inbox.files.folder / "sources").iterdir())) == 2


def test_one_whose_uid_has_come_with_another_content_since_is_set_aside(
    inbox: Inbox, receive: Receive
) -> None:
    receive(mammogram())
    inbox.processing.dead(1, "source-missing")
    lose_sources(inbox)
    receive(mammogram(PatientID="43"))
    receive(mammogram())
    assert states(inbox) == [("set-aside", "uid-known"), ("received", None)]
    assert len(list((inbox.files.folder / "sources").iterdir())) == 1


def test_one_whose_results_are_made_is_not_made_again(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())
    inbox.processing.processed(1, [StoredResult("sr", "1.2", "a" * 64, 4096)], ["pacs"])
    lose_sources(inbox)
    (delivery,) = inbox.instances.deliveries(1)
    inbox.deliveries.due("pacs")
    inbox.deliveries.dead(delivery, "http-400")
    assert states(inbox)[0][0] == DEAD
    receive(mammogram())
    assert states(inbox)[0][0] == DEAD
    assert not list((inbox.files.folder / "sources").iterdir())
    assert inbox.purge((DEAD,), ids=[7]) == 0
    assert inbox.purge((DEAD,), ids=[1]) == 1
    receive(mammogram())
    assert states(inbox) == [("received", None)]
