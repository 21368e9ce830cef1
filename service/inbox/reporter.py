"""Tells the studies of instances that were not analysed: a report each, among the results."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast

import structlog

from service.backoff import Backoff
from service.errors import PASSING_CODES, MammosegError, NotAcceptable, foreign_errors_as
from service.findings import ModelIdentity
from service.imaging.source_header import Head
from service.inbox.files import disk_bytes
from service.inbox.header import look_at
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.report_queue import Report, Untold
from service.inbox.states import NOT_RUN, REFUSED, SOURCE_MISSING, Entry, StoredResult
from service.inbox.uncounted import STORE_FAULTS
from service.logs import where
from service.metrics import Metrics
from service.outputs.dicom.not_run import NotRun, not_run_report, report_uid

log = structlog.get_logger("mammoseg")

DIED = "process-died"
UNREADABLE_HEADER = NotAcceptable(
    "source-header", "No valid DICOM object can refer to an image with this header."
)


class Reporter:
    """Makes the reports that are due, one after another, until it is stopped.

    Parameters
    ----------
    inbox
        Whose instances.
    model
        Returns which would have been asked; its file may change.
    destinations
        Names of those that get the reports: as the results.
    backoff
        Of the attempts.
    poller
        When to look.
    metrics
        Where reports are counted.
    done
        Called when there is a new report to deliver.
    """

    def __init__(
        self,
        inbox: Inbox,
        model: Callable[[], ModelIdentity],
        destinations: list[str],
        *,
        backoff: Backoff,
        poller: Poller,
        metrics: Metrics,
        done: Callable[[], None],
    ) -> None:
        self._inbox, self._model, self._destinations = inbox, model, destinations
        self._backoff, self.poller, self._done = backoff, poller, done
        self._counter = metrics.reports
        self._uncounted = inbox.uncounted("report", inbox.reports.undo)

    async def step(self) -> None:
        """Make the report that has waited longest, or wait for the next round.

        Raises
        ------
        LeaseLost
            What was worked on is another replica's by now.
        """
        await asyncio.to_thread(self._uncounted.settle)
        untold = await asyncio.to_thread(self._inbox.reports.due)
        if untold is None:
            await self.poller.wait()
        elif await asyncio.to_thread(self._tell, untold):
            self._done()

    def forget(self) -> None:
        """Make no report of what waits for one: they are switched off."""
        for id in self._inbox.reports.claim_all():
            entry = self._inbox.instances.entry(id)
            if entry is not None:
                self._drop(entry)

    def _tell(self, untold: Untold) -> bool:
        """Make one; True when there is something new to deliver."""
        reports, attempt = self._inbox.reports, untold.attempts + 1
        entry = self._inbox.instances.entry(untold.entry)
        if entry is None:
            return False
        kind = f"{NOT_RUN}{entry.code}"
        if reports.needs_none(entry.id, kind):
            self._drop(entry)
            return False
        if attempt > self._backoff.attempts:
            self._give_up(entry, DIED)
            return False
        reports.begin(entry.id, self._backoff.pause_s(attempt))
        try:
            return self._tell_of(entry, untold.reason, kind, attempt)
        except STORE_FAULTS:
            # What kept its end from being written down is no fault of the report's, either.
            self._uncounted.add(entry.id, attempt)
            raise

    def _tell_of(self, entry: Entry, reason: str, kind: str, attempt: int) -> bool:
        try:
            report = self._make(entry, reason, kind)
        except Exception as error:
            self._failed(entry, attempt, error)
            return False
        return self._enter(entry, report)

    def _make(self, entry: Entry, reason: str, kind: str) -> Report:
        state = cast(Literal["refused", "dead"], entry.state)
        why = NotRun(state, entry.code or "internal", reason, entry.digest)
        model = self._model()
        name = report_uid(why, model, entry.sop_instance_uid)
        before = self._inbox.reports.predecessors(entry.sop_instance_uid, name)
        head = self._look(entry)
        with foreign_errors_as(UNREADABLE_HEADER):
            content, reference = not_run_report(
                replace(why, predecessors=before), model, head.header.dataset()
            )
        (digest,) = self._inbox.files.write_results([content])
        result = StoredResult(kind, reference.sop_instance_uid, digest, disk_bytes(len(content)))
        return Report(name, reference, result)

    def _look(self, entry: Entry) -> Head:
        return look_at(self._inbox.files.source(entry.digest), self._inbox.reader)

    def _enter(self, entry: Entry, report: Report) -> bool:
        gone = self._source_goes(entry)
        if not self._inbox.reports.told(entry.id, report, self._destinations, source_gone=gone):
            self._inbox.files.discard_result(report.result.digest)
            return False
        if gone:
            self._inbox.files.discard_source(entry.digest)
        self._counter.labels("made", entry.code).inc()
        log.info("inbox-reported", entry=entry.id, state=entry.state, code=entry.code)
        return True

    def _failed(self, entry: Entry, attempt: int, error: Exception) -> None:
        code = error.code if isinstance(error, MammosegError) else "internal"
        if isinstance(error, OSError) and (fault := self._inbox.files.fault_behind(error)):
            raise fault
        may_pass = code in PASSING_CODES or not isinstance(error, MammosegError)
        final = not may_pass and cast(MammosegError, error).status < 500
        if self._inbox.files.is_gone(self._inbox.files.source(entry.digest), error):
            self._give_up(entry, SOURCE_MISSING)
        elif final or self._backoff.delay_s(attempt) is None:
            self._give_up(entry, code)
        else:
            error_name, place = type(error).__name__, where(error)
            log.warning("inbox-report-failed", entry=entry.id, error=error_name, at=place)

    def _give_up(self, entry: Entry, why: str) -> None:
        self._drop(entry)
        self._counter.labels("not_made", entry.code).inc()
        log.warning("inbox-not-reported", entry=entry.id, code=entry.code, why=why)

    def _drop(self, entry: Entry) -> None:
        gone = self._source_goes(entry)
        self._inbox.reports.drop(entry.id, source_gone=gone)
        if gone:
            self._inbox.files.discard_source(entry.digest)

    def _source_goes(self, entry: Entry) -> bool:
        """Say whether nothing will read the source any more; what is dead may be replayed."""
        return entry.state == REFUSED and not self._inbox.keep_files
