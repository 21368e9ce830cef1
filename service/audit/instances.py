"""Of which patient and study an instance is, and what a message says of several."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service.audit.codes import PATIENT_NUMBER, STUDY_INSTANCE_UID
from service.audit.event import PATIENT, PERSON, REPORT, SYSTEM_OBJECT, ParticipantObject, SopClass
from service.imaging import elements

UNKNOWN = "<none>"
"""Where an identifier is mandatory and there is none: an image need not have a Patient ID."""

MAX_LISTED = 16
"""Instances that are listed one by one; of more, the number is enough (PS3.15 A.5.2)."""


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """What an audit message says of an instance; None where it is not known."""

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    patient_id: str | None = field(default=None, repr=False)
    patient_name: str | None = field(default=None, repr=False)


def identity_of(header: Dataset) -> InstanceIdentity:
    """Return the identity of an instance; its header may hold anything."""
    return InstanceIdentity(
        elements.uid(header, "SOPClassUID"),
        elements.uid(header, "SOPInstanceUID"),
        elements.uid(header, "StudyInstanceUID"),
        "\\".join(elements.texts(header, "PatientID")) or None,
        "\\".join(elements.texts(header, "PatientName")) or None,
    )


def by_study(instances: Iterable[InstanceIdentity]) -> list[list[InstanceIdentity]]:
    """Return the instances of each study of each patient: a message is of one patient."""
    groups: dict[tuple[str | None, ...], list[InstanceIdentity]] = {}
    for one in instances:
        key = (one.study_instance_uid, one.patient_id, one.patient_name)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def study_and_patient(
    instances: list[InstanceIdentity],
) -> tuple[ParticipantObject, ParticipantObject]:
    """Return what a message says of instances of one study."""
    first = instances[0]
    study = first.study_instance_uid or UNKNOWN
    return (
        ParticipantObject(
            study,
            STUDY_INSTANCE_UID,
            SYSTEM_OBJECT,
            REPORT,
            name=study,
            sop_classes=_sop_classes(instances),
        ),
        ParticipantObject(
            first.patient_id or UNKNOWN,
            PATIENT_NUMBER,
            PERSON,
            PATIENT,
            name=first.patient_name or UNKNOWN,
        ),
    )


def _sop_classes(instances: list[InstanceIdentity]) -> tuple[SopClass, ...]:
    is_listed = len(instances) <= MAX_LISTED
    classes: dict[str | None, list[InstanceIdentity]] = {}
    for one in instances:
        classes.setdefault(one.sop_class_uid, []).append(one)
    return tuple(
        SopClass(
            uid,
            len(its),
            tuple(one.sop_instance_uid for one in its if one.sop_instance_uid) if is_listed else (),
        )
        for uid, its in classes.items()
    )
