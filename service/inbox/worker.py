"""What the service does with its inbox: processes, delivers, tidies, and counts."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import BinaryIO

import structlog

from service.audit.trail import NO_TRAIL, AuditTrail
from service.backoff import Backoff
from service.capacity.limiter import RequestLimiter
from service.destinations.destination import ClientOptions, CommitmentReport
from service.inbox.database import Lease
from service.inbox.deliverer import Deliverer
from service.inbox.faults import log_ended, persist, until_done
from service.inbox.gauges import InboxGauges
from service.inbox.housekeeper import Housekeeper
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.processor import Processor
from service.inbox.reporter import Reporter
from service.inbox.result_writer import ResultWriter
from service.inbox.states import Entry, StoredResult
from service.inbox.traces import InboxTraces
from service.inbox.work_lock import lock
from service.outputs.dicom import not_run
from service.outputs.dicom.document import DocumentReference
from service.outputs.dicom.registry import syntaxes_of
from service.serving.shadow import Shadow
from service.settings import Settings
from service.telemetry.observed import Observed
from service.telemetry.tracing import NoTracing, Tracing

log = structlog.get_logger("mammoseg")

GRACE_S = 5.0
"""How long a delivery that is under way may take to end when the service stops."""


class InboxWorker:
    """Works on an inbox while it runs.

    Of several services on one folder only one does; of several replicas on one database all do,
    each on what it has claimed, and one of them keeps house: it recovers, forgets, sweeps, counts.

    Parameters
    ----------
    inbox
        Whose instances.
    settings
        The service's.
    observed, limiter
        The service's: instances are worked on beside requests.
    tracing, audit
        Where traces go, and what is told of deliveries.
    shadow
        Judges a share of the instances, too; None without one.

    Raises
    ------
    StartupError
        A destination's TLS files cannot be read.
    """

    def __init__(
        self,
        inbox: Inbox,
        settings: Settings,
        observed: Observed,
        limiter: RequestLimiter,
        tracing: Tracing | None = None,
        audit: AuditTrail = NO_TRAIL,
        shadow: Shadow | None = None,
    ) -> None:
        self.inbox, self._settings = inbox, settings
        self._limiter, self.traces = limiter, InboxTraces(tracing or NoTracing())
        self._names = [destination.name for destination in settings.destinations]
        gauges = InboxGauges(inbox, observed.metrics, self._names, settings.inbox_mib << 20)
        self._housekeeper = Housekeeper(inbox, settings, self._names, gauges)
        self._poller = Poller()
        self._reporter = self._new_reporter(observed)
        self._writer = ResultWriter(
            observed, inbox.files, settings.inbox_results, self._predecessors, shadow
        )
        self._processor = Processor(
            inbox,
            self._make_results,
            limiter,
            self._names,
            at_once=settings.inbox_workers,
            backoff=self._backoff(settings.inbox_attempts),
            poller=Poller(),
            done=self._wake_deliverers,
            stopped=self._reporter.poller.wake if settings.inbox_report_not_run else None,
        )
        self._deliverers = [
            Deliverer(
                inbox,
                destination,
                destination.client(self._options()),
                backoff=self._backoff(settings.delivery_attempts),
                poller=Poller(),
                metrics=observed.metrics,
                traces=self.traces,
                audit=audit,
            )
            for destination in settings.destinations
        ]
        self._task: asyncio.Task[None] | None = None
        self._failing: set[str] = set()
        self._failing_gauge = observed.metrics.inbox_failing

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run_to_the_end())

    @property
    def is_failing(self) -> bool:
        """Whether nothing is worked on here because that fails, now or for good."""
        return bool(self._failing)

    def wake(self) -> None:
        """Say that instances arrived."""
        self._processor.poller.wake()

    async def stop(self) -> None:
        """Take no new work, finish what is begun; what is not remains in the inbox."""
        for poller in self._all_pollers():
            poller.stop()
        if self._task is not None:
            await self._task

    def _make_results(self, entry: Entry) -> list[StoredResult]:
        with self.traces.processing(entry) as trace:
            limiter = self._limiter
            return self._writer.write(entry, limiter.pixels, limiter.new_token(), trace)

    def _new_reporter(self, observed: Observed) -> Reporter:
        return Reporter(
            self.inbox,
            lambda: observed.segmenter.model,
            self._names,
            backoff=self._backoff(self._settings.delivery_attempts),
            poller=Poller(),
            metrics=observed.metrics,
            done=self._wake_deliverers,
        )

    def _predecessors(self, sop_instance_uid: str) -> tuple[DocumentReference, ...]:
        """Return the reports that results of an image replace; none where none are made."""
        if not self._settings.inbox_report_not_run:
            return ()
        return self.inbox.reports.predecessors(sop_instance_uid)

    def _backoff(self, attempts: int) -> Backoff:
        settings = self._settings
        return Backoff(settings.retry_first_s, settings.retry_longest_s, attempts)

    def _options(self) -> ClientOptions:
        """Return what the clients are told."""
        return ClientOptions(
            self._settings.scp_ae_title,
            self._syntaxes(),
            self._take_report,
        )

    def _syntaxes(self) -> dict[str, frozenset[str]]:
        """Return the transfer syntaxes of what is delivered, by SOP Class UID."""
        syntaxes = syntaxes_of(self._settings.inbox_results)
        return syntaxes | (not_run.SYNTAXES if self._settings.inbox_report_not_run else {})

    def _take_report(self, report: CommitmentReport) -> None:
        """Enter a commitment's report that came on our own association, on its thread."""
        if not self.inbox.commitments.report(report):
            log.warning("commitment-unknown")
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_deliverers)

    def _all_pollers(self) -> list[Poller]:
        own = (self._poller, self._processor.poller, self._reporter.poller)
        return [*own, *(each.poller for each in self._deliverers)]

    def _wake_deliverers(self) -> None:
        for deliverer in self._deliverers:
            deliverer.poller.wake()

    async def _run_to_the_end(self) -> None:
        """Run; an end that nobody asked for is told, and leaves the service not ready."""
        try:
            await self._run()
        except Exception as error:
            self._fail("all", True)
            log_ended(error)

    def _fail(self, what: str, failing: bool) -> None:
        """Note of a part of the work whether it fails."""
        if failing:
            self._failing.add(what)
        else:
            self._failing.discard(what)
        self._failing_gauge.set(self.is_failing)

    def _failing_of(self, what: str) -> Callable[[bool], None]:
        return partial(self._fail, what)

    async def _run(self) -> None:
        lease = self.inbox.lease
        if lease is not None:
            await self._run_as_replica(lease)
            return
        file = await self._locked()
        if file is None:
            return
        with file:
            # Without that nothing is begun, and nothing swept.
            await until_done(self._poller, self._housekeeper.recover, self._failing_of("all"))
            await self._work()

    async def _locked(self) -> BinaryIO | None:
        """Wait until no other process works on the inbox; None when stopped meanwhile."""
        folder = self.inbox.files.folder
        while not self._poller.stopped:
            file = await until_done(self._poller, lambda: lock(folder), self._failing_of("all"))
            if file is not None:
                return file
            await self._poller.wait()
        return None

    async def _run_as_replica(self, lease: Lease) -> None:
        await until_done(self._poller, lambda: lease.start(self._names), self._failing_of("all"))
        try:
            await self._work()
        finally:
            await asyncio.to_thread(lease.stop)

    async def _work(self) -> None:
        log.info("inbox-open", destinations=self._names)
        # One that ends by a fault ends the others: none works on without the lock.
        async with asyncio.TaskGroup() as group:
            group.create_task(self._persist("tidy", self._poller, self._tidy))
            group.create_task(self._process())
            group.create_task(self._persist("report", self._reporter.poller, self._report))
            for deliverer in self._deliverers:
                group.create_task(self._deliver(deliverer))

    async def _persist(
        self, what: str, poller: Poller, step: Callable[[], Awaitable[None]]
    ) -> None:
        async def checked() -> None:
            # Nothing is claimed, which others could work on, while the folder is away here.
            await asyncio.to_thread(self.inbox.files.check)
            await step()

        await persist(poller, checked, self._failing_of(what), self.inbox.prove_writable)

    async def _process(self) -> None:
        try:
            await self._persist("process", self._processor.poller, self._processor.step)
        finally:
            await self._processor.finish()

    async def _report(self) -> None:
        if self._settings.inbox_report_not_run:
            await self._reporter.step()
        else:
            await asyncio.to_thread(self._reporter.forget)
            await self._reporter.poller.until_stopped()

    async def _deliver(self, deliverer: Deliverer) -> None:
        async with deliverer.client:
            steps = self._persist(f"deliver {deliverer.name}", deliverer.poller, deliverer.step)
            loop = asyncio.create_task(steps)
            # A fault that ends it ends the other loops, too, and they say so.
            loop.add_done_callback(lambda task: task.cancelled() or task.exception())
            try:
                await deliverer.poller.until_stopped()
                await asyncio.wait([loop], timeout=GRACE_S)
            finally:
                loop.cancel()
                await asyncio.wait([loop])

    async def _tidy(self) -> None:
        await asyncio.to_thread(self._housekeeper.tidy)
        await self._poller.wait()
