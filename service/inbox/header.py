"""Which object a received file is: read from its header, before anything is promised."""

import hashlib
import mmap
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

from service.errors import MammosegError, UnreadableImage, UnsupportedMedia
from service.imaging import elements
from service.imaging.dicom import DEFLATED, parse, read_meta
from service.outputs.dicom.algorithm import MANUFACTURER

HEADER_BYTES = 2**20
"""What is inflated of a deflated dataset; its UIDs lie near the start (PS3.5 7.1)."""

_one_at_a_time = threading.Lock()
"""A header of many elements costs a second of work: senders wait for each other, not others."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the inbox needs to know of a file.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid
        Valid UIDs (PS3.5 9.1), or None.
    modality
        (0008,0060), or None.
    own
        This service made it, by its Manufacturer.
    digest
        SHA-256 of the transfer syntax and the dataset, hex. The file meta information is left
        out: it names the sender, and differs from way to way.
    """

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    modality: str | None
    own: bool
    digest: str


def read_header(path: Path) -> Header:
    """Read the header of a DICOM file.

    Raises
    ------
    UnsupportedMedia
        Its transfer syntax is not read here.
    UnreadableImage
        It is no DICOM file, or its header cannot be parsed.
    """
    with path.open("rb") as file:
        try:
            body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise UnreadableImage("empty-body", "The file is empty.") from None
    with _one_at_a_time:
        try:
            return _read(memoryview(body))
        except (UnsupportedMedia, UnreadableImage):
            raise
        except MammosegError as error:
            raise UnreadableImage(error.code, error.detail) from None


def _read(view: memoryview) -> Header:
    syntax, start = read_meta(view)
    head: bytes | memoryview = view
    if syntax == DEFLATED:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(view[start:], HEADER_BYTES)
        except zlib.error:
            raise UnreadableImage("deflate-corrupt", "The deflated dataset is damaged.") from None
    dataset = parse(head, HEADER_BYTES).dataset
    digest = hashlib.sha256(syntax.encode("ascii"))
    digest.update(view[start:])
    return Header(
        sop_class_uid=elements.uid(dataset, "SOPClassUID"),
        sop_instance_uid=elements.uid(dataset, "SOPInstanceUID"),
        study_instance_uid=elements.uid(dataset, "StudyInstanceUID"),
        modality=elements.text(dataset, "Modality"),
        own=elements.text(dataset, "Manufacturer") == MANUFACTURER,
        digest=digest.hexdigest(),
    )
