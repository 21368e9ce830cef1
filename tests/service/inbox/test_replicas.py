"""Several replicas on one PostgreSQL: who works on what, and what becomes of those that pause."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from service.audit.trail import AuditTrail
from service.backoff import Backoff
from service.destinations.destination import Client
from service.errors import Overloaded, StartupError
from service.inbox.database import DatabaseFails, LeaseLost
from service.inbox.deliverer import Deliverer
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.replica_lease import ReplicaLease
from service.inbox.reporter import Reporter
from service.inbox.traces import InboxTraces
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from service.telemetry.tracing import NoTracing
from tests.postgres_server import PostgresServer
from tests.service.audit.recorded import told
from tests.service.inbox.bench import make, states
from tests.service.inbox.conftest import mammogram, store

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("database"),
]
PACS = "pacs"


@pytest.fixture
def other(inbox: Inbox, settings: Settings) -> Iterator[Inbox]:
    """Be a second replica."""
    with Inbox(settings) as other:
        assert other.lease is not None
        other.lease.start((PACS,))
        yield other
        other.lease.stop()


def lease_of(inbox: Inbox) -> ReplicaLease:
    """Return a replica's lease, with what is its own."""
    assert isinstance(inbox.lease, ReplicaLease)
    return inbox.lease


def run_out(inbox: Inbox) -> None:
    """Let a replica's lease run out, as while it is paused."""
    with inbox._database.transaction() as connection:
        connection.execute("UPDATE replica SET expires = 0 WHERE id = ?", (lease_of(inbox).id,))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call all at the same time; returns what they return, or raise."""
    barrier = threading.Barrier(len(calls))

    def wait_and(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))


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


def refuse(inbox: Inbox, *files: bytes) -> list[int]:
    """Take files, and enter that each was refused; returns their ids."""
    store(inbox, *files)
    ids = [entry.id for entry in inbox.processing.due((), len(files))]
    for id in ids:
        inbox.processing.refused(id, "multi-frame", "It has several frames.")
    return ids


def reporter_of(inbox: Inbox, segmenter: Segmenter, metrics: Metrics | None = None) -> Reporter:
    return Reporter(
        inbox,
        lambda: segmenter.model,
        [PACS],
        backoff=Backoff(0.01, 0.02, 3),
        poller=Poller(),
        metrics=metrics or Metrics(),
        done=lambda: None,
    )


def test_two_replicas_make_each_report_once_and_deliver_it_once(
    inbox: Inbox, other: Inbox, segmenter: Segmenter
) -> None:
    ids = refuse(inbox, *(mammogram(number) for number in range(8)))
    metrics = Metrics()

    def tell_all(replica: Inbox) -> int:
        reporter, told = reporter_of(replica, segmenter, metrics), 0
        while (untold := replica.reports.due()) is not None:
            told += reporter._tell(untold)
        return told

    made = at_once(*(partial(tell_all, each) for each in (inbox, other)))
    assert sum(made) == len(ids)
    labels = {"outcome": "made", "code": "multi-frame"}
    counted = metrics.registry.get_sample_value("mammoseg_not_run_reports_total", labels)
    assert counted == len(ids)
    assert [len(inbox.instances.deliveries(id)) for id in ids] == [1] * len(ids)
    assert inbox.reports.all_untold() == [] == list((inbox.files.folder / "sources").iterdir())

    def deliver_all(replica: Inbox) -> list[int]:
        delivered = []
        while (delivery := replica.deliveries.due(PACS)) is not None:
            replica.deliveries.delivered(delivery)
            delivered.append(delivery.entry)
        return delivered

    delivered = at_once(*(partial(deliver_all, each) for each in (inbox, other)))
    assert sorted(delivered[0] + delivered[1]) == sorted(ids)
    assert {state for state, _ in states(inbox)} == {"refused"}


def test_a_report_is_not_entered_by_a_replica_that_was_paused_for_longer_than_its_lease(
    inbox: Inbox, other: Inbox, segmenter: Segmenter
) -> None:
    (id,) = refuse(inbox, mammogram())
    untold, entry = inbox.reports.due(), inbox.instances.entry(id)
    assert untold is not None and entry is not None
    assert other.reports.due() is None
    inbox.reports.begin(id, 0.0)
    report = reporter_of(inbox, segmenter)._make(entry, untold.reason, "not-run:multi-frame")
    run_out(inbox)
    late = other.reports.due()
    assert late is not None and (late.entry, late.attempts) == (id, 1)
    writes = (
        lambda: inbox.reports.begin(id, 0.0),
        lambda: inbox.reports.told(id, report, [PACS], source_gone=True),
        lambda: inbox.reports.drop(id, source_gone=True),
        lambda: reporter_of(inbox, segmenter)._enter(entry, report),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    assert inbox.instances.deliveries(id) == [] and inbox.reports.all_untold() == [id]
    lease_of(inbox)._renew()
    assert inbox.reports.due() is None and inbox.reports.claim_all() == []
    assert reporter_of(other, segmenter)._tell(late)
    # The other's report is the same file: it must stay.
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    (delivery,) = inbox.instances.deliveries(id)
    assert delivery.result.digest == report.result.digest
    assert inbox.files.result(report.result.digest).exists()


def test_a_report_on_what_was_replayed_elsewhere_meanwhile_is_not_entered(
    inbox: Inbox, other: Inbox, segmenter: Segmenter
) -> None:
    store(inbox, mammogram())
    (claimed,) = inbox.processing.due((), 1)
    inbox.processing.dead(claimed.id, "internal", "The service failed.")
    untold, entry = inbox.reports.due(), inbox.instances.entry(claimed.id)
    assert untold is not None and entry is not None
    reporter = reporter_of(inbox, segmenter)
    report = reporter._make(entry, untold.reason, "not-run:internal")
    assert other.instances.replay([]) == 1
    assert not reporter._enter(entry, report)
    assert not inbox.files.result(report.result.digest).exists()
    assert [each.id for each in other.processing.due((), 1)] == [claimed.id]
    # Dead again: a new row, which is nobody's.
    other.processing.dead(claimed.id, "internal", "The service failed.")
    with pytest.raises(LeaseLost):
        inbox.reports.told(claimed.id, report, [PACS], source_gone=False)
    assert other.reports.due() is not None


def test_the_audit_trail_is_told_of_no_transfer_by_a_replica_whose_lease_ran_out(
    inbox: Inbox, other: Inbox, settings: Settings, tmp_path: Path
) -> None:
    store(inbox, mammogram())
    (entry,) = inbox.processing.due((), 1)
    make(inbox, entry.id, PACS)
    delivery = inbox.deliveries.due(PACS)
    assert delivery is not None
    run_out(inbox)
    assert other.deliveries.due(PACS) is not None
    audit = Settings(audit="syslog-tcp://127.0.0.1:9").audit_options(tmp_path / "audit")
    with AuditTrail("mammoseg serve", audit) as trail:
        deliverer = Deliverer(
            inbox,
            settings.destinations[0],
            cast(Client, None),
            backoff=Backoff(0.01, 0.02, 3),
            poller=Poller(),
            metrics=Metrics(),
            traces=InboxTraces(NoTracing()),
            audit=trail,
        )
        with pytest.raises(LeaseLost):
            asyncio.run(deliverer._send(delivery))
        assert [each.event for each in told(tmp_path / "audit")] == ["Application Start"]


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


def test_while_the_database_is_away_nothing_is_taken_and_then_all_goes_on(
    inbox: Inbox, postgres: PostgresServer
) -> None:
    store(inbox, mammogram(1))
    postgres.stop()
    try:
        with pytest.raises(Overloaded) as refused:
            store(inbox, mammogram(2))
        assert refused.value.code == "inbox-database-away"
        assert inbox.is_away
        with pytest.raises(DatabaseFails):
            inbox.processing.due((), 1)
    finally:
        postgres.start()
    store(inbox, mammogram(2))
    assert not inbox.is_away
    assert len(states(inbox)) == 2
    assert not list(inbox.files.incoming.iterdir())


def test_a_lease_is_probed_and_renewed_by_itself(
    inbox: Inbox, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inbox.replica_lease.PROBE_S", 0.1)
    inbox.lease.stop()
    lease_of(inbox)._lease_s = 3.0
    inbox.lease.start(())
    postgres.stop()
    try:
        ends = time.monotonic() + 30
        while not inbox.is_away and time.monotonic() < ends:
            time.sleep(0.05)
        assert inbox.is_away
    finally:
        postgres.start()
    ends = time.monotonic() + 30
    while inbox.is_away and time.monotonic() < ends:
        time.sleep(0.05)
    assert not inbox.is_away


def test_a_transaction_in_which_a_replica_pauses_is_undone(
    settings: Settings, inbox: Inbox, other: Inbox
) -> None:
    store(inbox, mammogram(1))
    short = Settings.model_validate(settings.model_dump() | {"inbox_lease_s": 3.0})
    with (
        Inbox(short) as paused,
        pytest.raises(DatabaseFails),
        paused._database.transaction() as connection,
    ):
        connection.execute("UPDATE entry SET attempts = 7")
        time.sleep(4.0)
        connection.execute("SELECT 1")
    assert [entry.attempts for entry in other.processing.due((), 1)] == [0]


def test_a_database_that_does_not_sync_is_refused(
    settings: Settings, postgres: PostgresServer
) -> None:
    postgres.stop()
    postgres.start("-c", "fsync=off")
    try:
        with pytest.raises(StartupError, match="fsync is off"):
            Inbox(settings)
    finally:
        postgres.stop()
        postgres.start()


def test_a_commit_is_on_the_disk_whatever_the_servers_default(
    settings: Settings, postgres: PostgresServer
) -> None:
    postgres.stop()
    postgres.start("-c", "synchronous_commit=off")
    try:
        with Inbox(settings) as inbox:
            assert inbox._database.rows("SHOW synchronous_commit")[0][0] == "on"
    finally:
        postgres.stop()
        postgres.start()


def test_replicas_that_start_at_once_make_the_tables_once(settings: Settings) -> None:
    opened = at_once(*(lambda: Inbox(settings) for _ in range(3)))
    for each in opened:
        assert isinstance(each, Inbox)
        each.close()


def test_a_database_of_a_later_version_is_left_alone(inbox: Inbox, settings: Settings) -> None:
    with inbox._database.transaction() as connection:
        connection.execute("INSERT INTO version VALUES (99)")
    with pytest.raises(StartupError, match="later version"):
        Inbox(settings)


def test_a_wrong_password_ends_the_start_without_showing_any(settings: Settings) -> None:
    settings.inbox_database_password_file.with_name("wrong").write_text("not this one")
    wrong = settings.inbox_database_password_file.with_name("wrong")
    changed = settings.model_dump() | {"inbox_database_password_file": wrong}
    with pytest.raises(StartupError) as refused:
        Inbox(Settings.model_validate(changed))
    assert str(refused.value) == "the inbox's database cannot be opened: 28P01"
