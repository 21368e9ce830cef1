"""Whose a file is that was refused: for the audit trail, asked of a reader."""

from collections.abc import Iterable

from service.audit.instances import InstanceIdentity, identity_of
from service.cancellation import CancelToken
from service.imaging.reader import sniff
from service.reading.reader import Reader

LOOK_S = 5.0
"""Longest time to look at all of an answer's files: it waits for that."""


def identities_by(reader: Reader, bodies: Iterable[bytes | memoryview]) -> list[InstanceIdentity]:
    """Return whose the DICOM files among some are, as far as their headers say.

    Nobody's where a header cannot be read, or not in time; never raises, since what is asked for is
    how a failure is told.
    """
    token = CancelToken(LOOK_S)
    return [_identity(reader, body, token) for body in bodies if sniff(body) == "dicom"]


def _identity(reader: Reader, body: bytes | memoryview, token: CancelToken) -> InstanceIdentity:
    try:
        token.raise_if_cancelled()
        return identity_of(reader.look(body, token).header.dataset())
    except Exception:
        return InstanceIdentity()
