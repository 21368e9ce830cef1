"""Follows Orthanc's log of changes: every new mammogram gets its results, stored beside it.

Nothing is lost and nothing doubled: the cursor moves on only when an instance is dealt with, and
results have the same UIDs however often they are made. While the service or Orthanc is down, the
follower waits, however long; an instance that fails although both are up is given up after a
number of attempts, so that it does not hold up the rest.
"""

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from service.backoff import doubled_s
from service.dicomweb.audited import RemoteAudit, identity_in
from service.integration.cursor import Cursor, Mark
from service.integration.orthanc import Change, Orthanc, Page
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
            page = self._until_available(self._next_page)
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
        """Begin at the end of the log; or where we were, or where the log is still the same."""
        if self.cursor.last is None:
            self.cursor.last = self.orthanc.newest_change().number
        else:
            self._next_page()
        self.cursor.save()
        log.info("follow-from", change=self.cursor.last, kinds=self.options.kinds)

    def _next_page(self) -> Page:
        """Return what comes after the cursor; it goes back first where the log is another one."""
        last = self.cursor.last or 0
        # With the change that it stands on: Orthanc may have come back with another database.
        page = self.orthanc.changes(max(last - 1, 0))
        if last and not self._is_known(last, page):
            last = self._go_back()
            page = self.orthanc.changes(last)
        return Page([change for change in page.changes if change.number > last], page.is_last)

    def _is_known(self, last: int, page: Page) -> bool:
        """Say whether a page begins with the change that the cursor stands on, or is of its log."""
        first = page.changes[0] if page.changes else None
        if self.cursor.marks:
            mark, tip = self.cursor.marks[-1], self.cursor.tip
            if first is not None and (first.number, first.what) == (mark.number, mark.what):
                return True
            return tip is not None and self._is_there(tip)
        if first is not None and first.number == last:
            self.cursor.move_to(Mark(last, first.what, last))
            return True
        return self.orthanc.newest_change().number >= last

    def _go_back(self) -> int:
        """Stand on a change that is still there, with the results of all before; or on none."""
        before, marks = self.cursor.last, self.cursor.marks
        while marks and not self._is_there(marks[-1]):
            marks.pop()
        held = marks[-1].number if marks else 0
        # In an older copy, images may be without the results that were stored after it was made.
        while marks and marks[-1].end > held:
            marks.pop()
        self.cursor.last = marks[-1].number if marks else 0
        self.cursor.save()
        log.warning("follow-anew", last=before, since=self.cursor.last)
        return self.cursor.last

    def _is_there(self, mark: Mark) -> bool:
        change = self.orthanc.change(mark.number)
        return change is not None and change.what == mark.what

    def _try_given_up_again(self) -> None:
        for instance in tuple(self.cursor.given_up):
            if not self._see_through(instance):
                return
            self.cursor.given_up.remove(instance)
            self.cursor.save()

    def _take(self, change: Change) -> bool:
        """Deal with one change; False when told to stop before that."""
        end = max(change.number, self.cursor.marks[-1].end if self.cursor.marks else 0)
        if change.instance is not None:
            newest = None
            if self._see_through(change.instance):
                newest = self._until_available(self.orthanc.newest_change)
            if newest is None:
                return False
            end = max(end, newest.number)
            self.cursor.tip = Mark(newest.number, newest.what, newest.number)
        self.cursor.move_to(Mark(change.number, change.what, end))
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
        file = self._fetch(instance)
        held = self._held(file)
        if differing := self._differing(instance, file, held):
            # Of all contents that come under one UID, one has results (`inbox.uid_conflict`).
            log.error("results-differ", instance=instance, kinds=differing)
            self.cursor.given_up.append(instance)
            return
        missing = [kind for kind in self.options.kinds if kind not in held]
        for result in self.service.results(file, missing) if missing else ():
            self._store(result)
        log.info("followed", instance=instance, stored=missing)

    def _held(self, file: bytes) -> dict[str, str]:
        """Return Orthanc's identifiers of an image's results that are there, by kind."""
        origin = origin_of(file, self.service.identity())
        if origin is None:
            return {}
        uids = {kind: origin.uid(kind, "instance") for kind in self.options.kinds}
        found = {kind: self.orthanc.find(uid) for kind, uid in uids.items()}
        return {kind: one for kind, one in found.items() if one is not None}

    def _differing(self, instance: str, file: bytes, held: Mapping[str, str]) -> list[str]:
        """Return which of an image's results are of other content that it had, by kind.

        Where it was stored again after they were, they are made again, and compared: a resend
        gives the same, byte for byte.
        """
        stored = self.orthanc.received(instance) if held else ""
        older = [kind for kind, one in held.items() if "" < self.orthanc.received(one) < stored]
        if not older:
            return []
        try:
            made = self.service.results(file, older)
        except Refused:
            return older
        pairs = zip(older, made, strict=True)
        return [kind for kind, result in pairs if self._fetch(held[kind]) != result]

    def _fetch(self, instance: str) -> bytes:
        file = self.orthanc.file(instance)
        if self.audit.is_on:
            self.audit.fetched(identity_in(file))
        return file

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
