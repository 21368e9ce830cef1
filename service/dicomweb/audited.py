"""What is told of a server that instances are fetched from, and results stored on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from service.audit.event import EventOutcome
from service.audit.events import begin_transferring, queried, transferred
from service.audit.folders import FolderAudit
from service.audit.instances import InstanceIdentity, identity_of
from service.audit.participants import web_server
from service.audit.trail import NO_TRAIL, AuditTrail
from service.dicomweb.url import without_credentials
from service.errors import MammosegError
from service.imaging.dicom import parse
from service.imaging.source_header import HEADER_BYTES


class RemoteAudit:
    """Tells the audit trail what is done with a server.

    Parameters
    ----------
    trail
        Where it is told.
    url
        Of the server's services.
    """

    def __init__(self, trail: AuditTrail = NO_TRAIL, url: str = "") -> None:
        self._trail, self.is_on = trail, trail.is_on
        self._us = replace(trail.process, is_requestor=True)
        self._there = web_server(without_credentials(url), _host_of(url))

    def searched(self, query: str, code: str | None = None) -> None:
        """Tell that it was searched; `code` says why that failed."""
        query = without_credentials(query)
        self._trail.record([queried(self._trail.process, self._there, query, code)])

    def fetched(self, instance: InstanceIdentity, code: str | None = None) -> None:
        """Tell that an instance was fetched, or why not."""
        self._trail.record(
            transferred(
                self._there,
                self._us,
                [instance],
                action="C" if code is None else "R",
                outcome=EventOutcome.SUCCESS if code is None else EventOutcome.MINOR_FAILURE,
                code=code,
            )
        )

    def storing(self, results: Sequence[InstanceIdentity]) -> None:
        """Tell that results are about to be stored."""
        self._trail.record(begin_transferring(self._us, self._there, results))

    def stored(self, results: Sequence[InstanceIdentity], code: str | None = None) -> None:
        """Tell that results were stored, or why not."""
        outcome = EventOutcome.SUCCESS if code is None else EventOutcome.MINOR_FAILURE
        self._trail.record(transferred(self._us, self._there, results, outcome=outcome, code=code))

    def exported(self, folder: Path, instance: InstanceIdentity) -> None:
        """Tell that the results of an instance were written into a folder."""
        FolderAudit(self._trail, folder).written(instance)


def identity_in(file: bytes) -> InstanceIdentity:
    """Return whose a DICOM file is; nobody's where it cannot be read."""
    try:
        return identity_of(parse(file, HEADER_BYTES).dataset)
    except MammosegError:
        return InstanceIdentity()


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
