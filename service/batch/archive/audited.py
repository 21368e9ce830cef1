"""Tells the audit trail whose images of an archive were read, and where their results went."""

from pathlib import Path

import httpx

from service.audit.folders import FolderAudit
from service.audit.instances import InstanceIdentity
from service.audit.trail import AuditTrail
from service.batch.archive.items import FileItem, Query
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
        self._is_on, self._query = trail.is_on, query
        self._folders = FolderAudit(trail, out)
        self._remote = RemoteAudit(trail, "" if query is None else query.root)

    def searched(self, code: str | None = None) -> None:
        """Tell that the studies of the query were searched; `code` says why that failed."""
        if self._is_on and self._query is not None:
            filters = dict(self._query.filters)
            url = httpx.URL(f"{self._query.root}/studies", params=filters)
            self._remote.searched(str(url), code)

    def taken(self, answer: Answer, state: str) -> None:
        """Tell that an item was read or fetched, and of its results if it has them.

        Parameters
        ----------
        answer
            What came of it.
        state
            As it was written down.
        """
        if not self._is_on:
            return
        self._tell_of_source(answer)
        if answer.made is not None and answer.made.whose is not None and state == "done":
            self._folders.written(answer.made.whose)

    def not_written(self, answer: Answer) -> None:
        """Tell that an item was read or fetched, and that its results cannot be written."""
        if not self._is_on or answer.made is None or answer.made.whose is None:
            return
        self._tell_of_source(answer)
        self._folders.written(answer.made.whose, "not-written")

    def _tell_of_source(self, answer: Answer) -> None:
        item, whose = answer.item, answer.whose if answer.made is None else answer.made.whose
        if isinstance(item, FileItem):
            if whose is not None:
                self._folders.read(item.path.parent, whose)
            return
        # Of what did not come, and what no reader could read, the server's word is all there is.
        named = InstanceIdentity(None, item.reference.instance_uid, item.study_uid)
        code = answer.problem[0] if answer.is_unavailable and answer.problem is not None else None
        known = whose if whose is not None and whose.sop_instance_uid is not None else named
        self._remote.fetched(known, code)
