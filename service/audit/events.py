"""The events that are audited, each as its table in PS3.15 A.5.3 wants it."""

from collections.abc import Iterable

from service.audit import codes
from service.audit.event import (
    QUERIED,
    SYSTEM_OBJECT,
    Action,
    AuditEvent,
    EventOutcome,
    Participant,
    ParticipantObject,
)
from service.audit.instances import InstanceIdentity, by_study, study_and_patient
from service.audit.participants import in_role


def application_activity(process: Participant, *, is_start: bool) -> AuditEvent:
    """Return that the application started or stopped (A.5.3.1)."""
    return AuditEvent(
        codes.APPLICATION_ACTIVITY,
        "E",
        EventOutcome.SUCCESS,
        (in_role(process, codes.APPLICATION),),
        type=codes.APPLICATION_START if is_start else codes.APPLICATION_STOP,
    )


def login_refused(who: Participant, process: Participant, code: str) -> AuditEvent:
    """Return that somebody was not believed to be who he says (A.5.3.12).

    Parameters
    ----------
    who
        Whoever it was.
    process
        Ours.
    code
        Why.
    """
    return AuditEvent(
        codes.USER_AUTHENTICATION,
        "E",
        EventOutcome.MINOR_FAILURE,
        (Participant(who.user_id, True, None, who.address or "<none>"), process),
        type=codes.LOGIN,
        description=code,
        is_of_stranger=True,
    )


def function_refused(who: Participant, process: Participant, scope: str) -> AuditEvent:
    """Return that a caller who is known wanted what it may not (A.5.3.11)."""
    return _alert(process, who, codes.RESTRICTED_FUNCTION, f"needs the scope {scope}")


def node_refused(who: Participant, process: Participant, code: str) -> AuditEvent:
    """Return that a machine did not show the certificate or the AE title it needs (A.5.3.11)."""
    return _alert(process, who, codes.NODE_AUTHENTICATION, code)


def recording_stopped(process: Participant) -> AuditEvent:
    """Return that the buffer is full: what happens from now on is not recorded (A.5.3.11)."""
    return AuditEvent(
        codes.SECURITY_ALERT,
        "E",
        EventOutcome.SERIOUS_FAILURE,
        (process,),
        type=codes.RECORDING_STOPPED,
        description="the buffer is full",
    )


def recording_started(process: Participant, lost: int) -> AuditEvent:
    """Return that there is room again, and how many messages were lost (A.5.3.11)."""
    return AuditEvent(
        codes.SECURITY_ALERT,
        "E",
        EventOutcome.SUCCESS,
        (process,),
        type=codes.RECORDING_STARTED,
        description=f"{lost} messages were lost",
    )


def begin_transferring(
    source: Participant, destination: Participant, instances: Iterable[InstanceIdentity]
) -> list[AuditEvent]:
    """Return that instances are about to be sent (A.5.3.3), by patient and study.

    Parameters
    ----------
    source, destination
        Who sends, and who gets them; one of them asked for it.
    instances
        Which.
    """
    return [
        AuditEvent(
            codes.BEGIN_TRANSFERRING, "E", EventOutcome.SUCCESS, _ends(source, destination), objects
        )
        for objects in map(study_and_patient, by_study(instances))
    ]


def transferred(
    source: Participant,
    destination: Participant,
    instances: Iterable[InstanceIdentity],
    *,
    action: Action = "R",
    outcome: EventOutcome = EventOutcome.SUCCESS,
    code: str | None = None,
) -> list[AuditEvent]:
    """Return that instances were sent, or were not (A.5.3.7), by patient and study.

    Parameters
    ----------
    source, destination, instances
        As of `begin_transferring`.
    action
        C if the receiver did not have them before; R if it had, or that is not known.
    outcome, code
        What came of it, and why it failed.
    """
    return [
        AuditEvent(
            codes.INSTANCES_TRANSFERRED,
            action,
            outcome,
            _ends(source, destination),
            objects,
            description=code,
        )
        for objects in map(study_and_patient, by_study(instances))
    ]


def accessed(
    who: Participant,
    process: Participant,
    instances: Iterable[InstanceIdentity],
    code: str | None = None,
) -> list[AuditEvent]:
    """Return that instances were looked at for somebody (A.5.3.6), by patient and study.

    Parameters
    ----------
    who
        For whom.
    process
        Ours, which looked.
    instances
        Which.
    code
        Why they were refused, if they were.
    """
    outcome = EventOutcome.SUCCESS if code is None else EventOutcome.MINOR_FAILURE
    participants = (Participant(who.user_id, True, None, who.address, who.user_name), process)
    return [
        AuditEvent(codes.INSTANCES_ACCESSED, "R", outcome, participants, objects, description=code)
        for objects in map(study_and_patient, by_study(instances))
    ]


def imported(
    process: Participant, medium: Participant, instances: Iterable[InstanceIdentity]
) -> list[AuditEvent]:
    """Return that instances were read from a medium (A.5.3.5), by patient and study."""
    ends = (in_role(process, codes.DESTINATION, is_requestor=True), medium)
    return [
        AuditEvent(codes.IMPORT, "C", EventOutcome.SUCCESS, ends, objects)
        for objects in map(study_and_patient, by_study(instances))
    ]


def exported(
    process: Participant,
    medium: Participant,
    instances: Iterable[InstanceIdentity],
    code: str | None = None,
) -> list[AuditEvent]:
    """Return that what is of patients was written to a medium (A.5.3.4), by patient and study.

    Parameters
    ----------
    process, medium
        Who wrote, and where to.
    instances
        Of which images.
    code
        Why it failed, if it did.
    """
    outcome = EventOutcome.SUCCESS if code is None else EventOutcome.SERIOUS_FAILURE
    ends = (in_role(process, codes.SOURCE, is_requestor=True), medium)
    return [
        AuditEvent(codes.EXPORT, "R", outcome, ends, objects, description=code)
        for objects in map(study_and_patient, by_study(instances))
    ]


def queried(
    process: Participant, server: Participant, query: str, code: str | None = None
) -> AuditEvent:
    """Return that a server was searched by QIDO-RS (A.5.3.10).

    Parameters
    ----------
    process, server
        Who asked whom.
    query
        The URL, with what was asked for.
    code
        Why it failed, if it did.
    """
    searched = ParticipantObject(
        "QIDO-RS", codes.SEARCH_CRITERIA, SYSTEM_OBJECT, QUERIED, query=query.encode("utf-8")
    )
    return AuditEvent(
        codes.QUERY,
        "E",
        EventOutcome.SUCCESS if code is None else EventOutcome.MINOR_FAILURE,
        _ends(in_role(process, codes.SOURCE, is_requestor=True), server),
        (searched,),
        description=code,
    )


def _alert(
    process: Participant, who: Participant, kind: codes.Code, description: str
) -> AuditEvent:
    return AuditEvent(
        codes.SECURITY_ALERT,
        "E",
        EventOutcome.MINOR_FAILURE,
        (in_role(process, codes.APPLICATION, is_requestor=True), who),
        type=kind,
        description=description,
        is_of_stranger=True,
    )


def _ends(source: Participant, destination: Participant) -> tuple[Participant, Participant]:
    return (
        in_role(source, codes.SOURCE, is_requestor=source.is_requestor),
        in_role(destination, codes.DESTINATION, is_requestor=destination.is_requestor),
    )
