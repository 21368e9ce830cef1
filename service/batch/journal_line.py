"""A line of the journal: of which image it is, what was made of it, and by what."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from service.batch.fingerprint import Fingerprint, digest_of, head_of, is_told_by_head
from service.batch.made_by import as_now
from service.batch.sources import Source

UNWRITTEN = -1
"""Size of a file that is claimed: none has it."""

Row = dict[str, Any]
"""What the table and the CSV say of an image, by column."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was done with one image.

    Attributes
    ----------
    name
        Of its results.
    source
        Path of the file.
    size, mtime_ns
        Of the file: bytes, and when it was changed.
    made_by
        The model and the choices that were made, as `service.batch.made_by` says it today.
    files
        Size of each result file, bytes, by name; `UNWRITTEN` of one that is about to be written.
    row
        What the table and the CSV say; empty while the files are only claimed.
    head, digest
        As of `Fingerprint`; "" in lines of versions that wrote none.
    digests
        SHA-256 of each result file as it is written, hex, by name; not of those of such versions.
    """

    name: str
    source: str
    size: int
    mtime_ns: int
    made_by: str
    files: dict[str, int]
    row: Row
    head: str = ""
    digest: str = ""
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a line; None where it is broken off or another's."""
        try:
            line = cls(**json.loads(text))
        except (TypeError, ValueError):
            return None
        if not isinstance(line.made_by, str):
            return None
        sound = all(isinstance(one, dict) for one in (line.files, line.row, line.digests))
        sound = sound and isinstance(line.name, str)
        return replace(line, made_by=as_now(line.made_by)) if sound else None

    def is_of(self, path: Path) -> bool:
        """Say whether it is of the image that lies at a path now; a moved one is the same.

        What was left as it was, by path, size and time, is read no further than its head where that
        tells.

        Raises
        ------
        OSError
            There is none that can be read.
        """
        told = path.stat()
        if told.st_size != self.size:
            return False
        is_as_left = (self.source, self.mtime_ns) == (str(path), told.st_mtime_ns)
        if not self.digest:
            return is_as_left
        if head_of(path) != self.head:
            return False
        return (is_as_left and is_told_by_head(path)) or digest_of(path) == self.digest

    def is_of_content(self, source: Source, seen: Fingerprint) -> bool:
        """Say whether it is of an image that was read."""
        if self.digest:
            return self.digest == seen.digest
        as_left = (str(source.path), seen.size, seen.mtime_ns)
        return (self.source, self.size, self.mtime_ns) == as_left
