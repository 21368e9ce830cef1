"""What the inbox knows of an instance, of a result made from it, and of a result's delivery."""

from dataclasses import dataclass
from typing import Literal

State = Literal["received", "processed", "delivered", "dead", "refused", "set-aside"]
"""Of an instance.

received -> processed -> delivered is the way of a mammogram. `dead`: it cannot be processed, or a
result cannot be delivered, and no further try is made until an operator replays it. `refused`: the
model must not judge it. `set-aside`: nothing for this service to do.
"""

DeliveryState = Literal["waiting", "stored", "delivered", "dead"]
"""Of a result at a destination. `stored`: it is there, and a commitment to it is still to come."""

RECEIVED: State = "received"
PROCESSED: State = "processed"
DELIVERED: State = "delivered"
DEAD: State = "dead"
REFUSED: State = "refused"
SET_ASIDE: State = "set-aside"

FINISHED: tuple[State, ...] = (DELIVERED, REFUSED, SET_ASIDE)
"""With these nothing more will happen, and nobody needs to do anything."""

NOT_A_MAMMOGRAM = "modality-not-accepted"
OWN_RESULT = "own-result"
UID_KNOWN = "uid-known"
"""Codes of what is set aside; the last: the UID came before, with another content."""

NOT_RUN = "not-run:"
"""What the kind of a report begins with that says that its instance was not analysed; the code
follows. All other results say what was found."""

PROCESS_DIED = "process-died"
"""Code of what the service did not survive several times."""

SOURCE_MISSING = "source-missing"
"""Code of what was accepted and whose file is gone."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that lies on the disk, checked, and is not in the database yet.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid
        Valid UIDs.
    digest
        SHA-256 of the dataset and its transfer syntax, hex; names the file.
    size
        Bytes on the disk that it takes while it is kept.
    aside
        Code of why nothing is to be done with it, or None.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    digest: str
    size: int
    aside: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance in the database.

    Attributes
    ----------
    id
        Names it in logs and on the command line.
    digest
        As of `Arrival`.
    state, code
        Where it stands, and why if it is stuck there.
    size
        Bytes that its source takes; 0 once that is deleted.
    attempts
        How often it was begun.
    due
        When the next attempt may be made, seconds since 1970.
    received
        When it came by the system's clock, for people to read: nothing is decided by it.
    changed
        When its state last changed, by the clock that nobody sets.
    """

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    digest: str
    state: State
    code: str | None
    size: int
    attempts: int
    due: float
    received: float
    changed: float


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result that lies on the disk.

    Attributes
    ----------
    kind
        A key of `service.outputs.dicom.registry.OUTPUTS`, or begins with `NOT_RUN`.
    sop_instance_uid
        Its own.
    digest
        SHA-256 of the file, hex; names it.
    size
        Its bytes.
    """

    kind: str
    sop_instance_uid: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result on its way to one destination; `entry` is the id of the instance it is of."""

    id: int
    entry: int
    destination: str
    state: DeliveryState
    code: str | None
    attempts: int
    due: float
    result: StoredResult
