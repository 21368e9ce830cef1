"""Tells the audit trail whose images of an archive were read, and where their results went."""

from pathlib import Path

import httpx

from service.audit.codes import DESTINATION_MEDIA, SOURCE_MEDIA
from service.audit.events import exported, imported
from service.audit.instances import InstanceIdentity
from service.audit.participants import medium
from service.audit.trail import NO_TRAIL, AuditTrail
from service.batch.archive.items import InstanceItem, Item, Query
from service.batch.archive.judge import Answer
from service.dicomweb.audited import RemoteAudit


class ArchiveAudit:
    """Tells what was done with the items of an archive; an image without a patient is not told.

    Parameters
    ----------
    trail
        Where it is told.
    out
        The folder of the results.
    query
        Where instances are; None for an archive of files.
    """

    def __init__(self, trail: AuditTrail, out: Path, query: Query | None = None) -> None:
        self._trail = trail
        self._there = medium(out.absolute().as_uri(), DESTINATION_MEDIA)
        self._remote = None if query is None else RemoteAudit(trail, query.root)

    def taken(self, answer: Answer, state: str, problem: tuple[str, str] | None) -> None:
        """Tell that an item was read or fetched, and of its results if it has them.

        Parameters
        ----------
        answer
            What came of it.
        state, problem
            As it was written down: code and detail where it is refused.
        """
        if not self._trail.is_on:
            return
        whose = None if answer.made is None else answer.made.whose
        self._tell_of_source(answer.item, whose, None if problem is None else problem[0])
        if whose is not None and state == "done":
            self._trail.record(exported(self._trail.process, self._there, [whose]))

    def not_written(self, answer: Answer) -> None:
        """Tell that an item was read or fetched, and that its results cannot be written."""
        if not self._trail.is_on or answer.made is None or answer.made.whose is None:
            return
        whose = answer.made.whose
        self._tell_of_source(answer.item, whose, None)
        self._trail.record(exported(self._trail.process, self._there, [whose], "not-written"))

    def _tell_of_source(self, item: Item, whose: InstanceIdentity | None, code: str | None) -> None:
        if isinstance(item, InstanceItem):
            assert self._remote is not None
            named = InstanceIdentity(None, item.reference.instance_uid, item.study_uid)
            # Of what was refused after it had come, nobody knows the patient here.
            self._remote.fetched(whose or named, code if whose is None else None)
        elif whose is not None:
            origin = medium(item.path.parent.as_uri(), SOURCE_MEDIA)
            self._trail.record(imported(self._trail.process, origin, [whose]))


NOT_AUDITED = ArchiveAudit(NO_TRAIL, Path())


def tell_of_search(trail: AuditTrail, query: Query, code: str | None = None) -> None:
    """Tell that the studies of a query were searched; `code` says why that failed."""
    url = str(httpx.URL(f"{query.root}/studies", params=dict(query.filters)))
    RemoteAudit(trail, query.root).searched(url, code)
