"""Which object a received file is: read from its header, before anything is promised."""

from dataclasses import dataclass, field
from pathlib import Path

from service.audit.instances import InstanceIdentity, identity_of
from service.errors import MammosegError, Overloaded, UnreadableImage, UnsupportedMedia
from service.imaging import elements
from service.imaging.source_header import Head
from service.outputs.dicom.algorithm import MANUFACTURER
from service.reading.reader import Reader


@dataclass(frozen=True, slots=True)
class Header:
    """What the inbox needs to know of a file.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid
        Valid UIDs, or None.
    modality
        (0008,0060), or None.
    own
        This service made it, by its Manufacturer.
    digest
        As of `service.imaging.source_header.Head`.
    identity
        Whose it is, for the audit trail alone.
    """

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    modality: str | None
    own: bool
    digest: str
    identity: InstanceIdentity = field(repr=False)


def look_at(path: Path, reader: Reader) -> Head:
    """Have a reader look at the header of a DICOM file.

    Raises
    ------
    UnsupportedMedia
        Its transfer syntax is not read here.
    UnreadableImage
        It is no DICOM file, or its header cannot be parsed.
    Overloaded
        There is no reader.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if size == 0:
            raise UnreadableImage("empty-body", "The file is empty.")
        try:
            return reader.look_at_file(file.fileno(), size)
        except (UnsupportedMedia, UnreadableImage, Overloaded):
            raise
        except MammosegError as error:
            raise UnreadableImage(error.code, error.detail) from None


def read_header(path: Path, reader: Reader) -> Header:
    """Return what the header of a DICOM file says; raises as `look_at`."""
    head = look_at(path, reader)
    dataset = head.header.dataset()
    return Header(
        sop_class_uid=elements.uid(dataset, "SOPClassUID"),
        sop_instance_uid=elements.uid(dataset, "SOPInstanceUID"),
        study_instance_uid=elements.uid(dataset, "StudyInstanceUID"),
        modality=elements.text(dataset, "Modality"),
        own=elements.text(dataset, "Manufacturer") == MANUFACTURER,
        digest=head.digest,
        identity=identity_of(dataset),
    )
