"""What tells an image from another one that lies under the same name, at the same path or time."""

import hashlib
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

from pydicom.filereader import read_dataset

from service.errors import MammosegError, UnreadableImage, foreign_errors_as
from service.imaging import quiet as quiet
from service.imaging.dicom import read_meta
from service.imaging.reader import SNIFFED_BYTES, sniff
from service.imaging.transfer_syntaxes import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE

HEAD_BYTES = 1 << 16
"""Of a DICOM file, what says whose it is. Read of each image at each call: one look at the disk."""

SOP_INSTANCE_UID = 0x00080018


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file as it was read.

    Attributes
    ----------
    size, mtime_ns
        Bytes, and when it was changed.
    head
        SHA-256 of its first `HEAD_BYTES`, hex.
    digest
        SHA-256 of all, hex.
    """

    size: int
    mtime_ns: int
    head: str
    digest: str

    @classmethod
    def of(cls, told: os.stat_result, content: bytes) -> Self:
        """Return that of a file of which the system said this and which held that."""
        head = hashlib.sha256(content[:HEAD_BYTES]).hexdigest()
        digest = hashlib.sha256(content).hexdigest()
        return cls(told.st_size, told.st_mtime_ns, head, digest)


def head_of(path: Path) -> str:
    """Return the SHA-256 of a file's first `HEAD_BYTES`, hex.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()


def known_by(path: Path) -> str:
    """Return the SHA-256 of as much of a file as tells it from others, hex; raises as `head_of`."""
    return head_of(path) if is_told_by_head(path) else digest_of(path)


def is_told_by_head(path: Path) -> bool:
    """Say whether its head tells a file from others; raises as `head_of`.

    That of a DICOM file does where it holds the SOP Instance UID, which no other image has (PS3.5
    9.1). Any other file, compressed or not, may begin with more black rows than are looked at.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        # It is all of it.
        return True
    return sniff(head[:SNIFFED_BYTES]) == "dicom" and _has_instance_uid(head)


def _has_instance_uid(head: bytes) -> bool:
    try:
        with foreign_errors_as(UnreadableImage("dicom-unreadable", "The header is damaged.")):
            syntax, start = read_meta(head)
            if syntax == DEFLATED:
                return False
            # Among the header's first elements: what comes after may break off.
            dataset = read_dataset(
                BytesIO(head[start:]),
                syntax == IMPLICIT_LITTLE,
                syntax != EXPLICIT_BIG,
                stop_when=lambda tag, *_: tag > SOP_INSTANCE_UID,
            )
            return bool(str(dataset.get("SOPInstanceUID") or "").strip(" \0"))
    except MammosegError:
        return False


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex; raises as `head_of`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
