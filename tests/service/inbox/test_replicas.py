"""Several replicas on one PostgreSQL: who works on what, and what becomes of those that pause."""

from functools import partial

import pytest

from service.inbox.database import LeaseLost
from service.inbox.inbox import Inbox
from tests.service.inbox.bench import make, states
from tests.service.inbox.conftest import ON_POSTGRESQL, mammogram, store
from tests.service.inbox.replicas import PACS, at_once, lease_of, run_out

pytestmark = [pytest.mark.integration, *ON_POSTGRESQL]


def test_no_two_replicas_work_on_the_same_instance_or_delivery(inbox: Inbox, other: Inbox) -> None:
    store(inbox, *(mammogram(number) for number in range(6)))
    first = {entry.id for entry in inbox.processing.due((), 3)}
    second = {entry.id for entry in other.processing.due((), 6)}
    assert len(first) == len(second) == 3 and not first & second
    for id in sorted(first):
        make(inbox, id, PACS)
    one, two = inbox.deliveries.due(PACS), other.deliveries.due(PACS)
    assert one is not None and two is not None and one.id != two.id


def test_claims_at_the_same_moment_share_no_instance(inbox: Inbox, other: Inbox) -> None:
    store(inbox, *(mammogram(number) for number in range(20)))
    claimed = at_once(*(partial(each.processing.due, (), 10) for each in (inbox, other)))
    ids = [entry.id for entries in claimed for entry in entries]
    assert len(ids) == len(set(ids)) > 0


def test_a_replica_that_was_paused_for_longer_than_its_lease_writes_and_sends_nothing(
    inbox: Inbox, other: Inbox
) -> None:
    store(inbox, mammogram(1), mammogram(2))
    (mine, late) = inbox.processing.due((), 2)
    make(inbox, mine.id, PACS)
    delivery = inbox.deliveries.due(PACS)
    assert other.processing.due((), 9) == []
    run_out(inbox)
    assert [entry.id for entry in other.processing.due((), 9)] == [late.id]
    assert other.deliveries.due(PACS).id == delivery.id
    for write in (
        lambda: inbox.processing.begin(late.id, 1.0),
        lambda: make(inbox, late.id, PACS),
        lambda: inbox.processing.refused(late.id, "decode-failed"),
        lambda: inbox.processing.dead(late.id, "internal"),
        lambda: inbox.processing.failed(late.id, "internal", 1.0),
        lambda: inbox.processing.put_back(late.id),
        lambda: inbox.deliveries.check(delivery),
        lambda: inbox.deliveries.delivered(delivery),
        lambda: inbox.deliveries.stored(delivery),
        lambda: inbox.deliveries.dead(delivery, "x"),
        lambda: inbox.deliveries.failed(delivery, "x", 1.0),
        lambda: inbox.commitments.begin("1.2", [delivery], 1.0),
        lambda: inbox.commitments.ask_again(delivery, "x", 1.0),
    ):
        with pytest.raises(LeaseLost):
            write()
    # Under a new number it takes up what nobody else has, and nothing that somebody has.
    lease_of(inbox)._renew()
    assert inbox.processing.due((), 9) == []
    make(other, late.id, PACS)
    other.deliveries.delivered(delivery)
    assert [state for state, _ in states(other)] == ["processed", "processed"]


def test_what_was_claimed_and_not_begun_is_put_back(inbox: Inbox, other: Inbox) -> None:
    store(inbox, mammogram(1))
    (entry,) = inbox.processing.due((), 1)
    inbox.processing.put_back(entry.id)
    assert [each.id for each in other.processing.due((), 1)] == [entry.id]


def test_a_replica_that_ends_in_order_leaves_its_work_at_once(inbox: Inbox, other: Inbox) -> None:
    store(inbox, mammogram(1))
    (entry,) = inbox.processing.due((), 1)
    inbox.lease.stop()
    assert [each.id for each in other.processing.due((), 1)] == [entry.id]


def test_one_replica_keeps_house_and_another_when_it_is_gone(inbox: Inbox, other: Inbox) -> None:
    led = at_once(inbox.lease.lead, other.lease.lead)
    assert sorted(led) == [False, True]
    first, second = (inbox, other) if led[0] else (other, inbox)
    assert (first.lease.lead(), second.lease.lead()) == (True, False)
    run_out(first)
    assert (first.lease.lead(), second.lease.lead()) == (False, True)
    lease_of(first)._renew()
    assert (first.lease.lead(), second.lease.lead()) == (False, True)


def test_what_waits_for_a_destination_of_any_replica_is_not_buried(
    inbox: Inbox, other: Inbox
) -> None:
    inbox.lease.start(("new",))
    assert inbox.lease.destinations() == {"new", PACS}


def test_the_same_instance_at_two_replicas_at_once_is_entered_once(
    inbox: Inbox, other: Inbox
) -> None:
    for number in range(5):
        file = mammogram(number)
        outcomes = at_once(*(partial(store, each, file) for each in (inbox, other)))
        assert [[each.failure, each.warning] for (each,) in outcomes] == [[None, None]] * 2
    assert len(states(inbox)) == 5


def test_of_two_contents_of_a_uid_at_once_one_is_set_aside(inbox: Inbox, other: Inbox) -> None:
    for number in range(5):
        outcomes = at_once(
            partial(store, inbox, mammogram(number, PatientID="1")),
            partial(store, other, mammogram(number, PatientID="2")),
        )
        assert [each.warning is None for (each,) in outcomes].count(True) == 1
    assert sorted(state for state, _ in states(inbox)) == ["received"] * 5 + ["set-aside"] * 5


def test_an_instance_whose_results_are_delivered_at_once_is_delivered(
    inbox: Inbox, other: Inbox
) -> None:
    store(inbox, *(mammogram(number) for number in range(6)))
    for entry in inbox.processing.due((), 6):
        make(inbox, entry.id, PACS)
    for _ in range(6):
        pair = [(each, each.deliveries.due(PACS)) for each in (inbox, other)]
        at_once(*(partial(each.deliveries.delivered, due) for each, due in pair))
    assert {state for state, _ in states(inbox)} == {"delivered"}
