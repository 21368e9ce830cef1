"""What is told of folders that images are read from, and of the one that takes their results."""

from pathlib import Path

from service.audit.codes import DESTINATION_MEDIA, SOURCE_MEDIA
from service.audit.events import exported, imported
from service.audit.instances import InstanceIdentity
from service.audit.participants import medium
from service.audit.trail import AuditTrail


class FolderAudit:
    """Tells the audit trail what is read from folders and written into one.

    Parameters
    ----------
    trail
        Where it is told.
    out
        The folder of the results.
    """

    def __init__(self, trail: AuditTrail, out: Path) -> None:
        self._trail = trail
        self._there = medium(out.absolute().as_uri(), DESTINATION_MEDIA)

    def read(self, folder: Path, whose: InstanceIdentity) -> None:
        """Tell that an instance was read from a folder, whose path is absolute."""
        origin = medium(folder.as_uri(), SOURCE_MEDIA)
        self._trail.record(imported(self._trail.process, origin, [whose]))

    def written(self, whose: InstanceIdentity, code: str | None = None) -> None:
        """Tell that the results of an instance were written; `code` says why not."""
        self._trail.record(exported(self._trail.process, self._there, [whose], code))
