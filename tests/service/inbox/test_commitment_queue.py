"""Which results the archive is asked to commit itself to, and what its reports change."""

import pytest

from service.destinations.destination import CommitmentReport
from service.inbox.inbox import Inbox
from service.inbox.states import Delivery, StoredResult
from service.settings import Settings
from tests.service.inbox.conftest import BOTH_DATABASES, mammogram, store

pytestmark = [pytest.mark.integration, *BOTH_DATABASES]


def stored(inbox: Inbox, settings: Settings) -> Delivery:
    """Enter one result that the destination has."""
    store(inbox, mammogram())
    name = settings.destinations[0].name
    (entry,) = inbox.processing.due((), 1)
    result = StoredResult("seg", "1.2.7", "x", 1)
    inbox.processing.processed(entry.id, [result], [name])
    delivery = inbox.deliveries.due(name)
    assert delivery is not None
    inbox.deliveries.stored(delivery)
    return delivery


def test_of_several_requests_a_late_commitment_counts_and_a_late_failure_does_not(
    inbox: Inbox, settings: Settings
) -> None:
    delivery, queue = stored(inbox, settings), inbox.commitments
    name = delivery.destination
    assert len(queue.unasked(name, 9)) == 1
    queue.begin("2.25.1", [delivery], 60.0)
    queue.ask_again(delivery, "commitment-timeout", 0.0)
    assert len(queue.unasked(name, 9)) == 1
    queue.begin("2.25.2", [delivery], 60.0)
    queue.report(CommitmentReport("2.25.1", frozenset(), {"1.2.7": 0x0112}))
    assert queue.reported(name) == []
    queue.report(CommitmentReport("2.25.1", frozenset({"1.2.7"}), {}))
    assert queue.unasked(name, 9) == []
    assert [outcome for _, outcome in queue.reported(name)] == ["committed"]
    queue.report(CommitmentReport("2.25.2", frozenset(), {"1.2.7": 0x0112}))
    assert [outcome for _, outcome in queue.reported(name)] == ["commitment-0112"]


def test_after_a_failure_what_was_said_before_is_void(inbox: Inbox, settings: Settings) -> None:
    delivery, queue = stored(inbox, settings), inbox.commitments
    assert len(queue.unasked(delivery.destination, 9)) == 1
    queue.begin("2.25.1", [delivery], 60.0)
    assert queue.unasked(delivery.destination, 9) == []
    queue.report(CommitmentReport("2.25.1", frozenset(), {"1.2.7": 0x0112}))
    inbox.deliveries.failed(delivery, "commitment-0112", 0.0)
    again = inbox.deliveries.due(delivery.destination)
    assert again is not None and again.attempts == 1
    inbox.deliveries.stored(again)
    assert queue.reported(delivery.destination) == []
    assert [each.id for each in queue.unasked(delivery.destination, 9)] == [delivery.id]


def test_a_request_from_a_time_when_the_clock_was_ahead_is_not_waited_for_long(
    inbox: Inbox, settings: Settings
) -> None:
    delivery = stored(inbox, settings)
    assert len(inbox.commitments.unasked(delivery.destination, 9)) == 1
    inbox.commitments.begin("2.25.1", [delivery], 30 * 86_400.0)
    assert [each.id for each in inbox.commitments.overdue(delivery.destination, 60.0)] == [
        delivery.id
    ]
