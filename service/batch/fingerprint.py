"""What tells an image from another one that lies under the same name, at the same path or time."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from service.imaging.reader import SNIFFED_BYTES, sniff

HEAD_BYTES = 1 << 16
"""Of a DICOM file, what says whose it is. Read of each image at each call: one look at the disk."""


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

    A TIFF of a film may begin with more black rows than are looked at.
    """
    with path.open("rb") as file:
        return sniff(file.read(SNIFFED_BYTES)) != "tiff"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex; raises as `head_of`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
