"""Where the audit trail goes, as it is configured."""

from dataclasses import dataclass
from pathlib import Path

from service.audit.collector import CollectorAddress
from service.tls_files import TlsFiles


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Where messages go, and where they wait.

    Attributes
    ----------
    collector
        Takes them.
    tls_files
        Ours, if the collector asks for a certificate, and the authorities that its own is checked
        against.
    folder
        Of the buffer.
    max_bytes
        Bound of the buffer.
    source_id
        Name of this system in messages; the machine's where None.
    site_id
        Of the enterprise's site that it stands in; None for none.
    """

    collector: CollectorAddress
    tls_files: TlsFiles
    folder: Path
    max_bytes: int
    source_id: str | None = None
    site_id: str | None = None
