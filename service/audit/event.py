"""What an audit message says, before it is XML: names are those of PS3.15 A.5.1."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from service.audit.codes import Code

Action = Literal["C", "R", "U", "D", "E"]
"""Create, read, update, delete, execute."""


PERSON: Literal["1"] = "1"
SYSTEM_OBJECT: Literal["2"] = "2"
"""Of ParticipantObjectTypeCode."""

PATIENT, REPORT, QUERIED = "1", "3", "24"
"""Of ParticipantObjectTypeCodeRole; a report is any document, a study too."""


class EventOutcome(IntEnum):
    """EventOutcomeIndicator (PS3.15 A.5.2)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    """It is tried again, or the other side may."""
    SERIOUS_FAILURE = 8
    """It is not tried again."""


@dataclass(frozen=True, slots=True)
class Participant:
    """ActiveParticipant: a person, a process, a node, or a medium.

    Attributes
    ----------
    user_id, alternative_user_id, user_name
        As of PS3.15 A.5.2.1 to A.5.2.3.
    is_requestor
        Began what happened; at most one participant of an event does.
    role
        Which part it had.
    address
        Name or IP address of its machine.
    media
        What kind of medium it is, if it is one.
    """

    user_id: str
    is_requestor: bool = False
    role: Code | None = None
    address: str | None = None
    user_name: str | None = None
    alternative_user_id: str | None = None
    media: Code | None = None


@dataclass(frozen=True, slots=True)
class SopClass:
    """Instances of one SOP Class among those of a study.

    Attributes
    ----------
    uid
        Of the class; None where it is not known.
    count
        How many.
    instances
        Their UIDs, unless there are too many to list.
    """

    uid: str | None
    count: int
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParticipantObject:
    """ParticipantObjectIdentification: what it was done with.

    Attributes
    ----------
    id, id_type
        Names it, and how.
    type_code, role
        ParticipantObjectTypeCode and ...Role: numbers of PS3.15 A.5.1.2.
    name
        What people call it; the schema wants it, or `query`.
    query
        What was asked, if it is a query.
    sop_classes
        What there is of the study, if it is one.
    """

    # They name patients, whom no log may tell of.
    id: str = field(repr=False)
    id_type: Code
    type_code: Literal["1", "2"]
    role: str
    name: str = field(default="", repr=False)
    query: bytes | None = field(default=None, repr=False)
    sop_classes: tuple[SopClass, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event.

    Attributes
    ----------
    id, type
        EventID and EventTypeCode.
    action, outcome
        EventActionCode and EventOutcomeIndicator.
    participants
        At least one.
    objects
        What it was done with.
    description
        EventOutcomeDescription: why it failed, a code of ours.
    is_of_stranger
        Anybody can make it happen, as often as he likes: it must not crowd out the others.
    """

    id: Code
    action: Action
    outcome: EventOutcome
    participants: tuple[Participant, ...]
    objects: tuple[ParticipantObject, ...] = ()
    type: Code | None = None
    description: str | None = None
    is_of_stranger: bool = False
