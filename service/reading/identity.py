"""Whose a file is that was refused: for the audit trail, asked of a reader."""

from service.audit.instances import InstanceIdentity, identity_of
from service.cancellation import CancelToken
from service.imaging.reader import sniff
from service.reading.reader import Reader

LOOK_S = 5.0
"""Longest time to look: the answer waits for it."""


def identity_by(reader: Reader, body: bytes | memoryview) -> InstanceIdentity | None:
    """Return whose a file is, as far as its header says; None of what is no DICOM file.

    Nobody's where the header cannot be read; never raises, since what is asked for is how a failure
    is told.
    """
    if sniff(body) != "dicom":
        return None
    try:
        return identity_of(reader.look(body, CancelToken(LOOK_S)).header.dataset())
    except Exception:
        return InstanceIdentity()
