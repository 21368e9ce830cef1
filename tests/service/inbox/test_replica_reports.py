"""Reports and audit messages of several replicas: made once, and by none that was paused."""

import asyncio
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from service.audit.trail import AuditTrail
from service.backoff import Backoff
from service.destinations.destination import Client
from service.inbox.database import LeaseLost
from service.inbox.deliverer import Deliverer
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.reporter import Reporter
from service.inbox.traces import InboxTraces
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from service.telemetry.tracing import NoTracing
from tests.service.audit.recorded import told
from tests.service.inbox.bench import make, states
from tests.service.inbox.conftest import ON_POSTGRESQL, mammogram, store
from tests.service.inbox.replicas import PACS, at_once, lease_of, run_out

pytestmark = [pytest.mark.integration, *ON_POSTGRESQL]


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
