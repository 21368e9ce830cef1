"""Follows Orthanc's log of changes: every new mammogram gets its results, stored beside it.

Nothing is lost and nothing doubled: the cursor moves on only when an instance is dealt with, and
results have the same UIDs however often they are made. While the service or Orthanc is down, the
follower waits, however long; an instance that fails although both are up is given up after a
number of attempts, so that it does not hold up the rest.
"""

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from service.backoff import doubled_s
from service.dicomweb.audited import RemoteAudit, identity_in
from service.integration.cursor import Cursor
from service.integration.orthanc import Change, Orthanc
from service.integration.remote import Refused, Unavailable
from service.integration.service_client import ServiceClient, origin_of
from service.outputs.dicom.algorithm import MANUFACTURER

Answer = TypeVar("Answer")

log = structlog.get_logger("mammoseg")

FIRST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """What is followed, and how often it is tried.

    Attributes
    ----------
    kinds
        Keys of `outputs.dicom.registry.OUTPUTS` to store.
    modalities
        Of the series whose instances are sent.
    period_s
        Between two looks at the changes.
    attempts
        At one instance while the service is up.
    longest_wait_s
        Between two attempts; waits double from one second up to it.
    """

    kinds: tuple[str, ...] = ("seg", "sr")
    modalities: frozenset[str] = frozenset({"MG"})
    period_s: float = 1.0
    attempts: int = 8
    longest_wait_s: float = 60.0


@dataclass(slots=True)
class Follower:
    """The loop; `stop` may be set from anywhere, and ends it after the instance in hand."""

    orthanc: Orthanc
    service: ServiceClient
    cursor: Cursor
    options: FollowOptions = field(default_factory=FollowOptions)
    stop: threading.Event = field(default_factory=threading.Event)
    audit: RemoteAudit = field(default_factory=RemoteAudit)

    def run(self) -> None:
        """Follow until told to stop.

        Raises
        ------
        Denied
            Orthanc wants other credentials, or one of the two is not what it was taken for.
        """
        self._until_available(self._find_position)
        self._try_given_up_again()
        while not self.stop.is_set():
            page = self._until_available(lambda: self.orthanc.changes(self.cursor.last or 0))
            if page is None:
                return
            for change in page.changes:
                if not self._take(change):
                    return
            if page.changes:
                self.cursor.save()
            if page.is_last:
                self.stop.wait(self.options.period_s)

    def _find_position(self) -> None:
        """Begin at the end of the log; or where we were, unless the log is another one."""
        newest = self.orthanc.newest_change()
        if self.cursor.last is None:
            self.cursor.last = newest
        elif self.cursor.last > newest:
            log.warning("follow-anew", last=self.cursor.last, newest=newest)
            self.cursor.last = 0
        self.cursor.save()
        log.info("follow-from", change=self.cursor.last, kinds=self.options.kinds)

    def _try_given_up_again(self) -> None:
        for instance in tuple(self.cursor.given_up):
            if not self._see_through(instance):
                return
            self.cursor.given_up.remove(instance)
            self.cursor.save()

    def _take(self, change: Change) -> bool:
        """Deal with one change; False when told to stop before that."""
        if change.instance is not None and not self._see_through(change.instance):
            return False
        self.cursor.last = change.number
        if change.instance is not None:
            self.cursor.save()
        return not self.stop.is_set()

    def _see_through(self, instance: str) -> bool:
        """Store an instance's results, or give it up; False when told to stop before that."""
        attempts = 0
        for failures in itertools.count(1):
            if attempts == self.options.attempts:
                log.error("given-up", instance=instance, attempts=attempts)
                self.cursor.given_up.append(instance)
                return True
            try:
                self._process(instance)
                return True
            except Refused as refusal:
                log.warning("refused", instance=instance, code=refusal.reason)
                return True
            except Unavailable as failure:
                # While either side is down, a failure does not count against the instance.
                attempts += self.service.is_ready() and self.orthanc.is_up()
                log.warning("not-now", instance=instance, reason=failure.reason, attempts=attempts)
                if self._told_to_stop_within(failures, failure.retry_after_s):
                    return False
        raise AssertionError("the loop returns")

    def _process(self, instance: str) -> None:
        """Make and store those of the results that are not there yet."""
        series = self.orthanc.series_of(instance)
        # Our own results have other modalities; the maker is asked in case one was let in.
        if (
            series.get("Modality") not in self.options.modalities
            or series.get("Manufacturer") == MANUFACTURER
        ):
            return
        file = self.orthanc.file(instance)
        if self.audit.is_on:
            self.audit.fetched(identity_in(file))
        origin = origin_of(file, self.service.identity())
        missing = [
            kind
            for kind in self.options.kinds
            if origin is None or not self.orthanc.holds(origin.uid(kind, "instance"))
        ]
        for result in self.service.results(file, missing) if missing else ():
            self._store(result)
        log.info("followed", instance=instance, stored=missing)

    def _store(self, result: bytes) -> None:
        told = [identity_in(result)] if self.audit.is_on else []
        self.audit.storing(told)
        try:
            self.orthanc.store(result)
        except (Unavailable, Refused) as failure:
            self.audit.stored(told, failure.reason)
            raise
        self.audit.stored(told)

    def _until_available(self, task: Callable[[], Answer]) -> Answer | None:
        """Do something, waiting out every outage; None when told to stop before that."""
        for failures in itertools.count(1):
            try:
                return task()
            except Unavailable as failure:
                log.warning("orthanc-away", reason=failure.reason)
                if self._told_to_stop_within(failures, failure.retry_after_s):
                    return None
        raise AssertionError("the loop returns")

    def _told_to_stop_within(self, failures: int, retry_after_s: float | None) -> bool:
        """Wait longer after each failure, or as long as was asked for, up to the longest wait."""
        longest_s = self.options.longest_wait_s
        wait_s = doubled_s(FIRST_WAIT_S, failures, longest_s)
        return self.stop.wait(max(wait_s, min(retry_after_s or 0.0, longest_s)))
