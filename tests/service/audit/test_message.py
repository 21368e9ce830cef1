"""Audit messages hold by the standard's schema, whatever the names in them are."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from service.audit import events
from service.audit.event import AuditEvent
from service.audit.instances import MAX_LISTED, InstanceIdentity
from service.audit.message import AuditSource, to_xml
from tests.service.audit.samples import OURS, SEGMENTATION, every_kind, instance
from tests.service.audit.schema import faults_of

NOW = datetime(2026, 11, 30, 12, 0, 0, 5, UTC)
SOURCE = AuditSource("reader", "Clinic")

HOSTILE = (
    '"><AuditMessage/><!--',
    "]]>&lt;&amp;'",
    "a\nb\r\nc\td",
    "\0\x01\x08\x0b\x1b[2J\x7f\x9b",
    "<?xml version='1.0'?>",
    "Müller^Jürgen=\u5c71\u7530",
    "\ud800 \ufffe \uffff \u2028 \u2029",
    "9 <85>1 - - - - - -",
    '[meta sequenceId="1"]',
    "",
    " ",
    "\U0001f600" * 5000,
    "&" * 5000,
)


def xml(event: AuditEvent) -> bytes:
    return to_xml(event, SOURCE, NOW)


def parsed(event: AuditEvent) -> Element:
    return fromstring(xml(event))


@pytest.mark.integration
def test_every_kind_of_event_is_valid(tmp_path: Path) -> None:
    assert not faults_of(map(xml, every_kind().values()), tmp_path)


@pytest.mark.integration
def test_what_nobody_knows_of_an_instance_leaves_the_message_valid(tmp_path: Path) -> None:
    assert not faults_of(map(xml, every_kind(InstanceIdentity()).values()), tmp_path)


@pytest.mark.integration
def test_hostile_texts_leave_the_message_valid(tmp_path: Path) -> None:
    made = []
    for text in HOSTILE:
        for event in every_kind(InstanceIdentity("1.2", "1.2.3", "1.2.4", text, text)).values():
            who = [
                replace(each, user_id=text, user_name=text, alternative_user_id=text, address=text)
                for each in event.participants
            ]
            made.append(xml(replace(event, participants=tuple(who), description=text)))
    assert not faults_of(made, tmp_path)


@pytest.mark.integration
def test_the_schema_tells_a_wrong_message(tmp_path: Path) -> None:
    right = xml(every_kind()["received"])
    wrong = [
        right.replace(b"EventDateTime", b"EventTime"),
        right.replace(b'csd-code="110104"', b'code="110104"'),
        right.replace(b"<ParticipantObjectName>1.2.3</ParticipantObjectName>", b""),
        right.replace(b'UserIsRequestor="false"', b'UserIsRequestor="no"'),
    ]
    assert right not in wrong
    found = faults_of([right, *wrong], tmp_path)
    assert [f"/{number}.xml:" in found for number in range(5)] == [False, True, True, True, True]


@pytest.mark.unit
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_message_is_one_line_however_hostile_the_names_in_it(text: str) -> None:
    for event in every_kind(instance(patient_id=text, name=text)).values():
        message = xml(replace(event, description=text)).decode("utf-8")
        assert message.splitlines() == [message]
        assert not any(ord(letter) < 32 for letter in message)
        assert len(message.encode("utf-8")) <= 32_768
        assert fromstring(message)[0].tag == "EventIdentification"


@pytest.mark.unit
def test_a_name_comes_back_as_it_was() -> None:
    name = "Müller^J\u00fcrgen<&\"'>=\u5c71\u7530"
    root = parsed(every_kind(instance(patient_id=name, name=name))["received"])
    _, patient = root.findall("ParticipantObjectIdentification")
    assert patient.get("ParticipantObjectID") == name
    assert patient.findtext("ParticipantObjectName") == name


@pytest.mark.unit
def test_a_transfer_says_who_sent_whose_study_to_whom() -> None:
    root = parsed(every_kind()["received"])
    event = root.find("EventIdentification")
    assert event is not None
    assert event.get("EventActionCode") == "C" and event.get("EventOutcomeIndicator") == "0"
    assert event.get("EventDateTime") == "2026-11-30T12:00:00.000005+00:00"
    code = event.find("EventID")
    assert code is not None and code.attrib == {
        "csd-code": "110104",
        "codeSystemName": "DCM",
        "originalText": "DICOM Instances Transferred",
    }
    sender, receiver = root.findall("ActiveParticipant")
    assert sender.get("AlternativeUserID") == "AETITLES=MAMMO1"
    assert sender.get("NetworkAccessPointID") == "10.0.0.8"
    assert sender.get("NetworkAccessPointTypeCode") == "2"
    assert _role(sender) == "110153" and _role(receiver) == "110152"
    source = root.find("AuditSourceIdentification")
    assert source is not None and source.get("AuditEnterpriseSiteID") == "Clinic"
    study, patient = root.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2.3"
    assert patient.get("ParticipantObjectID") == "42"


def _role(participant: Element) -> str | None:
    role = participant.find("RoleIDCode")
    return None if role is None else role.get("csd-code")


@pytest.mark.unit
def test_a_token_is_named_by_its_subject_and_its_client() -> None:
    who = parsed(every_kind()["accessed"]).findall("ActiveParticipant")[0]
    assert (who.get("UserID"), who.get("UserName")) == ("jane@clinic", "oidc:pacs")
    assert who.get("UserIsRequestor") == "true"


@pytest.mark.unit
def test_a_message_is_of_one_patient_and_one_study() -> None:
    several = [instance(1), instance(2), instance(3, patient_id="43"), InstanceIdentity()]
    made = events.transferred(OURS, OURS, several)
    patients = [parsed(each).findall("ParticipantObjectIdentification") for each in made]
    assert [each[1].get("ParticipantObjectID") for each in patients] == ["42", "43", "<none>"]
    assert patients[0][0].find(".//SOPClass").get("NumberOfInstances") == "2"


@pytest.mark.unit
def test_instances_are_listed_unless_they_are_many() -> None:
    few = [instance(number) for number in range(MAX_LISTED)]
    (told,) = events.transferred(OURS, OURS, few)
    assert len(parsed(told).findall(".//Instance")) == MAX_LISTED
    more = [*few, replace(instance(99), sop_class_uid=SEGMENTATION)]
    (told,) = events.transferred(OURS, OURS, more)
    counts = [each.get("NumberOfInstances") for each in parsed(told).findall(".//SOPClass")]
    assert counts == [str(MAX_LISTED), "1"] and not parsed(told).findall(".//Instance")


@pytest.mark.unit
def test_nothing_of_a_patient_is_in_what_python_prints_of_an_event() -> None:
    one = instance(patient_id="ZANARIE", name="ZANARIE")
    assert "ZANARIE" not in repr(one) + repr(every_kind(one))
