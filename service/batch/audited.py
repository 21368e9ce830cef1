"""Tells the audit trail whose image came out of a folder, and that its results went into one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.audit.codes import DESTINATION_MEDIA, SOURCE_MEDIA
from service.audit.events import exported, imported
from service.audit.instances import identity_of
from service.audit.participants import medium
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
    whose = [identity_of(header.dataset())]
    target = medium(out.absolute().as_uri(), DESTINATION_MEDIA)
    audit.record(imported(audit.process, medium(origin.as_uri(), SOURCE_MEDIA), whose))
    try:
        yield
    except NotWritten:
        audit.record(exported(audit.process, target, whose, "not-written"))
        raise
    audit.record(exported(audit.process, target, whose))
