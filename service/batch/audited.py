"""Tells the audit trail whose image came out of a folder, and that its results went into one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.audit.folders import FolderAudit
from service.audit.instances import identity_of
from service.audit.trail import AuditTrail
from service.batch.results import NotWritten
from service.findings import Findings


@contextmanager
def audited(audit: AuditTrail, findings: Findings, origin: Path, out: Path) -> Iterator[None]:
    """Tell of whose image was read from `origin`, and whether its results were written to `out`."""
    header = findings.mammogram.header if audit.is_on else None
    if header is None:
        yield
        return
    folders, whose = FolderAudit(audit, out), identity_of(header.dataset())
    folders.read(origin, whose)
    try:
        yield
    except NotWritten:
        folders.written(whose, "not-written")
        raise
    folders.written(whose)
