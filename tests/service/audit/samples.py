"""One event of every kind."""

from service.access.caller import Caller
from service.audit import codes, events
from service.audit.event import AuditEvent, EventOutcome
from service.audit.instances import InstanceIdentity
from service.audit.participants import application_entity, http_caller, medium, web_server
from service.audit.trail import NO_TRAIL

OURS = NO_TRAIL.process
MAMMOGRAPHY, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"


def instance(number: int = 1, patient_id: str | None = "42", name: str = "Doe^Jane"):
    return InstanceIdentity(MAMMOGRAPHY, f"1.2.3.4.{number}", "1.2.3", patient_id, name)


def every_kind(one: InstanceIdentity | None = None) -> dict[str, AuditEvent]:
    """Return an event of every kind, by its name."""
    one = one or instance()
    caller = http_caller(Caller("oidc:pacs", "oidc:1", frozenset(), "jane@clinic"), "10.0.0.7")
    archive = web_server("https://pacs.clinic/dicom-web", "pacs.clinic")
    modality = application_entity("MAMMO1", "::ffff:10.0.0.8")
    (begun,) = events.begin_transferring(OURS, archive, [one])
    (stored,) = events.transferred(modality, OURS, [one], action="C")
    (delivered,) = events.transferred(OURS, archive, [one])
    (failed,) = events.transferred(
        OURS, archive, [one], outcome=EventOutcome.SERIOUS_FAILURE, code="tls-certificate"
    )
    (accessed,) = events.accessed(caller, OURS, [one])
    (refused,) = events.accessed(http_caller(None, "::1"), OURS, [InstanceIdentity()], "intent")
    (imported,) = events.imported(OURS, medium("file:///cd/", codes.SOURCE_MEDIA), [one])
    (exported,) = events.exported(OURS, medium("file:///out/", codes.DESTINATION_MEDIA), [one])
    return {
        "started": events.application_activity(OURS, is_start=True),
        "stopped": events.application_activity(OURS, is_start=False),
        "login refused": events.login_refused(
            http_caller(None, "10.0.0.9"), OURS, "no-credentials"
        ),
        "function refused": events.function_refused(caller, OURS, "admin"),
        "node refused": events.node_refused(modality, OURS, "caller"),
        "recording stopped": events.recording_stopped(OURS),
        "recording started": events.recording_started(OURS, 17),
        "transfer begun": begun,
        "received": stored,
        "delivered": delivered,
        "not delivered": failed,
        "accessed": accessed,
        "access refused": refused,
        "imported": imported,
        "exported": exported,
        "queried": events.queried(OURS, archive, "https://pacs.clinic/studies?Modality=MG"),
    }
