"""What a process told its audit trail, read from the buffer."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

from service.audit.buffer import AuditBuffer


@dataclass(frozen=True)
class Told:
    """One message, taken apart."""

    root: Element
    raw: bytes

    @property
    def event(self) -> str:
        """EventID, or EventTypeCode where there is one."""
        codes = [*self.root.iter("EventTypeCode"), *self.root.iter("EventID")]
        return str(codes[0].get("originalText"))

    @property
    def action(self) -> str:
        return str(self._event.get("EventActionCode"))

    @property
    def outcome(self) -> str:
        return str(self._event.get("EventOutcomeIndicator"))

    @property
    def why(self) -> str | None:
        return self._event.findtext("EventOutcomeDescription")

    @property
    def users(self) -> list[str]:
        """UserID of each participant."""
        return [str(each.get("UserID")) for each in self.root.iter("ActiveParticipant")]

    @property
    def requestor(self) -> dict[str, str]:
        """Attributes of the participant that asked."""
        (who,) = self.root.findall("ActiveParticipant[@UserIsRequestor='true']")
        return who.attrib

    @property
    def objects(self) -> list[str]:
        """The Study Instance UID and the Patient ID."""
        found = self.root.iter("ParticipantObjectIdentification")
        return [str(each.get("ParticipantObjectID")) for each in found]

    @property
    def classes(self) -> list[str]:
        return [str(each.get("UID")) for each in self.root.iter("SOPClass")]

    @property
    def _event(self) -> Element:
        found = self.root.find("EventIdentification")
        assert found is not None
        return found


def told(folder: Path) -> list[Told]:
    """Return the messages of a buffer."""
    buffer = AuditBuffer(folder, 2**30)
    try:
        return [Told(fromstring(each.content), each.content) for each in buffer.after(0, 10**6)]
    finally:
        buffer.close()
