"""An event as XML, by the schema of PS3.15 A.5.1."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from service.audit.codes import Code
from service.audit.event import AuditEvent, Participant, ParticipantObject

MAX_TEXT_CHARS = 256
"""Of any text; those of DICOM have 64, or 194 as a name. With this a message stays under the 32,768
octets that every collector takes (PS3.15 A.6)."""

APPLICATION_SERVER = "4"
"""AuditSourceTypeCode (PS3.15 A.5.1.2.1)."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold, and whatever ends a line or steers a terminal."""

_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%.*)?")


@dataclass(frozen=True, slots=True)
class AuditSource:
    """Who reports (AuditSourceIdentification).

    Attributes
    ----------
    id
        The system's name.
    site
        Where it stands in the enterprise; None where that is not said.
    """

    id: str
    site: str | None = None


def to_xml(event: AuditEvent, source: AuditSource, time: datetime) -> bytes:
    """Return a message: UTF-8, one line.

    Parameters
    ----------
    event
        What happened. Its texts may hold anything: what XML cannot hold, and all control
        characters, become U+FFFD.
    source
        Who reports it.
    time
        When it happened, with its zone.
    """
    root = Element("AuditMessage")
    _add_event(root, event, time)
    for participant in event.participants:
        _add_participant(root, participant)
    of_source = SubElement(root, "AuditSourceIdentification", AuditSourceID=_text(source.id))
    if source.site is not None:
        of_source.set("AuditEnterpriseSiteID", _text(source.site))
    SubElement(of_source, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    for one in event.objects:
        _add_object(root, one)
    return (_DECLARATION + tostring(root, encoding="unicode")).encode("utf-8")


def _add_event(root: Element, event: AuditEvent, time: datetime) -> None:
    identification = SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=time.isoformat(timespec="microseconds"),
        EventOutcomeIndicator=str(int(event.outcome)),
    )
    _add_code(identification, "EventID", event.id)
    if event.type is not None:
        _add_code(identification, "EventTypeCode", event.type)
    if event.description is not None:
        SubElement(identification, "EventOutcomeDescription").text = _text(event.description)


def _add_participant(root: Element, participant: Participant) -> None:
    attributes = {
        "UserID": participant.user_id,
        "AlternativeUserID": participant.alternative_user_id,
        "UserName": participant.user_name,
        "UserIsRequestor": "true" if participant.is_requestor else "false",
        "NetworkAccessPointID": participant.address,
        "NetworkAccessPointTypeCode": _access_point_type(participant.address),
    }
    element = SubElement(
        root,
        "ActiveParticipant",
        {name: _text(value) for name, value in attributes.items() if value is not None},
    )
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role)
    if participant.media is not None:
        _add_code(SubElement(element, "MediaIdentifier"), "MediaType", participant.media)


def _add_object(root: Element, one: ParticipantObject) -> None:
    element = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_text(one.id),
        ParticipantObjectTypeCode=one.type_code,
        ParticipantObjectTypeCodeRole=one.role,
    )
    _add_code(element, "ParticipantObjectIDTypeCode", one.id_type)
    if one.query is None:
        SubElement(element, "ParticipantObjectName").text = _text(one.name)
    else:
        query = base64.b64encode(one.query).decode("ascii")
        SubElement(element, "ParticipantObjectQuery").text = query
    if not one.sop_classes:
        return
    description = SubElement(element, "ParticipantObjectDescription")
    for sop_class in one.sop_classes:
        of_class = SubElement(description, "SOPClass", NumberOfInstances=str(sop_class.count))
        if sop_class.uid is not None:
            of_class.set("UID", _text(sop_class.uid))
        for uid in sop_class.instances:
            SubElement(of_class, "Instance", UID=_text(uid))


def _add_code(parent: Element, name: str, code: Code) -> None:
    SubElement(
        parent,
        name,
        {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.meaning},
    )


def _access_point_type(address: str | None) -> str | None:
    """Say what names a machine: 1 for its name, 2 for an IP address."""
    if address is None:
        return None
    return "2" if _ADDRESS.fullmatch(address) else "1"


def _text(value: str) -> str:
    if len(value) > MAX_TEXT_CHARS:
        value = value[: MAX_TEXT_CHARS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value)
