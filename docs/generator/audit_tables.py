"""The table of audit messages (PS3.2 N.11.2.2), from events as the code makes them."""

from service.audit.event import AuditEvent
from tests.service.audit.samples import every_kind

TRIGGERS = {
    "started": "`serve`, `scp`, `follow`, `pull`, `segment` or `archive` starts",
    "stopped": "it ends in order",
    "login refused": "401: no key or token, or none that is believed",
    "function refused": "403: the scope is missing",
    "node refused": "a client's certificate does not hold, or `scp` does not know its AE title",
    "recording stopped": "the buffer is full",
    "recording started": "there is room again",
    "transfer begun": "a result is about to be sent to a destination, or by `follow` or `pull`",
    "received": "instances came by STOW-RS or C-STORE; `follow`, `pull` or `archive` fetched them",
    "delivered": "a destination has a result; `follow` or `pull` stored one",
    "not delivered": "it has not: outcome 4 where it is tried again, else 8",
    "accessed": "`POST /v1/segment` or `/v1/studies` judged a DICOM image",
    "access refused": "it was refused, or failed",
    "imported": "`segment` or `archive` read a DICOM image from a folder",
    "exported": "`segment`, `archive` or `pull` wrote results into a folder",
    "queried": "`pull` searched a study by QIDO-RS, or `archive` for studies",
}
"""When each is sent."""


def audit_table() -> str:
    """Return which messages are sent, when, and what they say."""
    rows = [
        "| Message (EventID) | EventTypeCode | Action, outcome | Participants' roles | Sent when |",
        "|---|---|---|---|---|",
    ]
    for name, event in every_kind().items():
        rows.append(f"| {' | '.join((*_said(event), TRIGGERS[name]))} |")
    return "\n".join(rows)


def _said(event: AuditEvent) -> tuple[str, ...]:
    kind = "" if event.type is None else f"{event.type.meaning} ({event.type.value})"
    roles = [each.role.meaning if each.role else "no role" for each in event.participants]
    return (
        f"{event.id.meaning} ({event.id.value})",
        kind,
        f"{event.action}, {int(event.outcome)}",
        "; ".join(roles),
    )
