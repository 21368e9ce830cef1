"""What the inbox tells the audit trail: what it received, and what it delivers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydicom.filereader import read_partial

from service.audit.event import Action, AuditEvent, EventOutcome, Participant
from service.audit.events import begin_transferring, transferred
from service.audit.instances import InstanceIdentity, identity_of
from service.audit.participants import application_entity, web_server
from service.audit.trail import AuditTrail
from service.destinations.destination import Destination
from service.inbox.store_transaction import Received

LAST_TAG = 0x0020000D
"""Study Instance UID: of what a message says, the last in a file."""


def received_events(
    sender: Participant, receiver: Participant, received: Sequence[Received]
) -> list[AuditEvent]:
    """Return that instances came: what was new, what was known, and what was refused, apart."""
    events: list[AuditEvent] = []
    for is_new, failure in dict.fromkeys((each.is_new, each.failure) for each in received):
        instances = [
            each.identity for each in received if (each.is_new, each.failure) == (is_new, failure)
        ]
        action: Action = "C" if is_new else "R"
        outcome = EventOutcome.SUCCESS if failure is None else EventOutcome.MINOR_FAILURE
        code = None if failure is None else f"status {failure:04x}"
        events += transferred(
            sender, receiver, instances, action=action, outcome=outcome, code=code
        )
    return events


class DeliveryAudit:
    """Tells the audit trail of deliveries to one destination; waits for the disk.

    Parameters
    ----------
    trail
        Where it is told.
    destination
        Where results go.
    """

    def __init__(self, trail: AuditTrail, destination: Destination) -> None:
        self._trail, self.is_on = trail, trail.is_on
        self._us = replace(trail.process, is_requestor=True)
        self._there = participant_of(destination)

    def begun(self, file: Path) -> None:
        """Tell that a file is about to be sent."""
        if self._trail.is_on:
            sent = [identity_of_file(file)]
            self._trail.record(begin_transferring(self._us, self._there, sent))

    def ended(self, file: Path, code: str | None, *, is_final: bool = True) -> None:
        """Tell what came of it: `code` says why it failed; `is_final`: it is not tried again."""
        if not self._trail.is_on:
            return
        outcome = EventOutcome.SUCCESS
        if code is not None:
            outcome = EventOutcome.SERIOUS_FAILURE if is_final else EventOutcome.MINOR_FAILURE
        sent = [identity_of_file(file)]
        self._trail.record(transferred(self._us, self._there, sent, outcome=outcome, code=code))


def participant_of(destination: Destination) -> Participant:
    """Return a destination: by its AE title, or its URL, which holds no credentials."""
    address = destination.address
    if destination.ae_title is not None:
        return application_entity(destination.ae_title, address.hostname)
    return web_server(destination.url, address.hostname)


def identity_of_file(file: Path) -> InstanceIdentity:
    """Return whose a result of ours is; nobody's where it cannot be read."""
    try:
        with file.open("rb") as opened:
            header = read_partial(opened, stop_when=lambda tag, *_: tag > LAST_TAG)
    except Exception:
        # Whatever pydicom raises over a file that was damaged meanwhile.
        return InstanceIdentity()
    return identity_of(header)
