"""Takes instances from the inbox, a few at once, and has their results made."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from service.backoff import Backoff
from service.capacity.limiter import RequestLimiter
from service.errors import PASSING_CODES, MammosegError, Overloaded
from service.inbox.database import LeaseLost
from service.inbox.faults import log_fault
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.states import PROCESS_DIED, SOURCE_MISSING, Entry, StoredResult
from service.inbox.uncounted import STORE_FAULTS
from service.logs import where

log = structlog.get_logger("mammoseg")

_REASONS = {
    PROCESS_DIED: "The service ended each time while it worked on this image.",
    SOURCE_MISSING: "The file of this image is gone.",
    "internal": "The service failed.",
}
"""What reports say where no error of ours does."""

BUSY_S = 1.0
"""Seconds after which an instance looks again for a slot when all are taken: requests go first."""


class Processor:
    """Processes what is due, until it is stopped.

    Parameters
    ----------
    inbox
        Where instances come from and results go.
    make_results
        Makes an instance's results; called on a worker thread.
    limiter
        The service's: instances are worked on beside requests, and begun no more once it leaves.
    destinations
        Names of those that get the results.
    at_once
        Bound on the instances in work.
    backoff
        Of the attempts.
    poller
        When to look.
    done
        Called when there are new results to deliver.
    stopped
        Called when an instance was refused or given up; None where no study is told of that.
    """

    def __init__(
        self,
        inbox: Inbox,
        make_results: Callable[[Entry], list[StoredResult]],
        limiter: RequestLimiter,
        destinations: list[str],
        *,
        at_once: int,
        backoff: Backoff,
        poller: Poller,
        done: Callable[[], None],
        stopped: Callable[[], None] | None = None,
    ) -> None:
        self._inbox, self._make_results, self._limiter = inbox, make_results, limiter
        self._destinations, self._at_once, self._backoff = destinations, at_once, backoff
        self.poller, self._done, self._stopped = poller, done, stopped
        self._running: dict[int, asyncio.Task[None]] = {}
        self._uncounted = inbox.uncounted("processing", inbox.processing.undo)
        self._fault: Exception | None = None
        self._is_in_doubt = False

    async def step(self) -> None:
        """Begin what is due and has a slot, then wait for the next round.

        After a fault one instance is begun, and no other before its end.

        Raises
        ------
        Exception
            What kept it from working on an instance, or from writing down what became of it: the
            disk, or the database. The instance stays as it was.
        """
        self._raise_fault()
        await asyncio.to_thread(self._uncounted.settle)
        free = (1 if self._is_in_doubt else self._at_once) - len(self._running)
        if free > 0 and not self._limiter.leaving:
            due = self._inbox.processing.due
            for entry in await asyncio.to_thread(due, tuple(self._running), free):
                task = asyncio.create_task(self._process(entry))
                self._running[entry.id] = task
                task.add_done_callback(lambda _, id=entry.id: self._ended(id))  # type: ignore[misc]
        if self._is_in_doubt and self._running:
            await asyncio.wait(self._running.values())
            self._raise_fault()
        self._is_in_doubt = False
        await self.poller.wait()

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            self._is_in_doubt = True
            raise fault

    async def finish(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        if self._fault is not None:
            log_fault(self._fault)
            with contextlib.suppress(*STORE_FAULTS):
                await asyncio.to_thread(self._uncounted.settle)

    def _ended(self, id: int) -> None:
        task = self._running.pop(id)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, LeaseLost):
                log.warning("inbox-not-ours", entry=id)
            elif isinstance(error, Exception):
                # The disk or the database fails: the next step tells of it, and pauses.
                self._fault = error
        self.poller.wake()

    async def _process(self, entry: Entry) -> None:
        try:
            with self._limiter.slot() as slot:
                await slot.claim(entry.size)
                await self._attempt(entry)
        except Overloaded:
            await asyncio.to_thread(self._inbox.processing.put_back, entry.id)
            await asyncio.sleep(BUSY_S)

    async def _attempt(self, entry: Entry) -> None:
        processing, attempt = self._inbox.processing, entry.attempts + 1
        if attempt > self._backoff.attempts:
            reason = self._told(_REASONS[PROCESS_DIED])
            await asyncio.to_thread(processing.dead, entry.id, PROCESS_DIED, reason)
            self._wake_reporter()
            return
        await asyncio.to_thread(processing.begin, entry.id, self._backoff.pause_s(attempt))
        try:
            await self._make(entry, attempt)
        except STORE_FAULTS:
            # What kept its end from being written down is no fault of the instance's, either.
            await asyncio.to_thread(self._uncounted.add, entry.id, attempt)
            raise

    async def _make(self, entry: Entry, attempt: int) -> None:
        try:
            results = await self._limiter.work(lambda: self._make_results(entry))
        except Exception as error:
            await asyncio.to_thread(self._failed, entry, attempt, error)
            self._wake_reporter()
            return
        await asyncio.to_thread(self._processed, entry, results)
        log.info("inbox-processed", entry=entry.id, attempt=attempt, results=len(results))
        self._done()

    def _processed(self, entry: Entry, results: list[StoredResult]) -> None:
        self._inbox.processing.processed(entry.id, results, self._destinations)
        if not self._inbox.keep_files:
            self._discard_source(entry)

    def _failed(self, entry: Entry, attempt: int, error: Exception) -> None:
        processing, id = self._inbox.processing, entry.id
        if isinstance(error, OSError) and (fault := self._inbox.files.fault_behind(error)):
            raise fault
        code = error.code if isinstance(error, MammosegError) else "internal"
        if isinstance(error, MammosegError) and error.status < 500 and code not in PASSING_CODES:
            processing.refused(id, code, self._told(error.detail))
            current = self._inbox.instances.entry(id)
            # Its report is made of it first.
            if current is not None and not self._inbox.keep_files and self._stopped is None:
                self._discard_source(current)
            log.info("inbox-refused", entry=id, code=code)
            return
        # A source that was deleted by hand does not come back, unless it is sent again.
        gone = self._inbox.files.is_gone(self._inbox.files.source(entry.digest), error)
        code = SOURCE_MISSING if gone else code
        delay_s = None if gone else self._backoff.delay_s(attempt)
        if delay_s is None:
            reason = error.detail if isinstance(error, MammosegError) else _REASONS[code]
            processing.dead(id, code, self._told(reason))
        else:
            processing.failed(id, code, delay_s)
        log.warning(
            "inbox-failed",
            entry=id,
            code=code,
            attempt=attempt,
            again_s=None if delay_s is None else round(delay_s, 1),
            error=type(error).__name__,
            at=where(error),
        )

    def _told(self, reason: str) -> str | None:
        return None if self._stopped is None else reason

    def _wake_reporter(self) -> None:
        if self._stopped is not None:
            self._stopped()

    def _discard_source(self, entry: Entry) -> None:
        self._inbox.processing.source_gone(entry.id)
        self._inbox.files.discard_source(entry.digest)
