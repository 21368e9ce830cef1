"""Which images are done: a line each in the folder of the results, so that a run can go on.

An image is done when its line says so of this very file, by this model and these choices, and its
result files are there at the size they were written with.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from service.batch.folder_lock import open_locked
from service.batch.results import NotWritten
from service.batch.sources import Source

NAME = ".mammoseg.jsonl"

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
        The model's hash, the service's version and the choices that were made.
    files
        Size of each result file, bytes, by name.
    row
        What the table and the CSV say.
    """

    name: str
    source: str
    size: int
    mtime_ns: int
    made_by: str
    files: dict[str, int]
    row: Row

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a line; None where it is broken off or another's."""
        try:
            line = cls(**json.loads(text))
        except (TypeError, ValueError):
            return None
        sound = isinstance(line.files, dict) and isinstance(line.row, dict)
        return line if sound and isinstance(line.name, str) else None

    def is_of(self, source: Source, told: os.stat_result) -> bool:
        """Say whether it is of this file, as it is now; a moved one is the same."""
        return (self.size, self.mtime_ns) == (told.st_size, told.st_mtime_ns)


class Journal:
    """The lines of one folder; for one process at a time.

    Parameters
    ----------
    folder
        Of the results; made when it is not there.
    made_by
        See `Line`.

    Raises
    ------
    NotWritten
        The folder cannot be written, or another process writes into it.
    """

    def __init__(self, folder: Path, made_by: str) -> None:
        self.folder, self._made_by = folder, made_by
        self._file = open_locked(folder, NAME)
        self._file.seek(0)
        read = (Line.read(text) for text in self._file.read().splitlines())
        self._lines = {line.name: line for line in read if line is not None}

    def done(self, source: Source, files: Iterable[str]) -> Row | None:
        """Return the row of an image that is done, with these result files; None for another."""
        line = self._lines.get(source.name)
        if line is None or line.made_by != self._made_by:
            return None
        try:
            told = source.path.stat()
        except OSError:
            return None
        whole = all(line.files.get(name) == self._size(name) for name in files)
        return line.row if whole and line.is_of(source, told) else None

    def is_taken(self, source: Source) -> bool:
        """Say whether results of another file have this name, and are still there."""
        line = self._lines.get(source.name)
        if line is None or line.source == str(source.path):
            return False
        try:
            same = line.is_of(source, source.path.stat())
        except OSError:
            return False
        return not same and any(self._size(name) is not None for name in line.files)

    def add(self, source: Source, told: os.stat_result, files: Mapping[str, int], row: Row) -> None:
        """Say that an image is done; its files are there.

        Raises
        ------
        NotWritten
            The disk takes nothing more.
        """
        earlier = self._lines.get(source.name)
        same = (
            earlier is not None and earlier.made_by == self._made_by and earlier.is_of(source, told)
        )
        # Results of other formats, made before and of the same, are still good.
        kept = dict(earlier.files) if earlier is not None and same else {}
        line = Line(
            source.name,
            str(source.path),
            told.st_size,
            told.st_mtime_ns,
            self._made_by,
            kept | dict(files),
            row,
        )
        self._lines[source.name] = line
        try:
            self._file.write(json.dumps(asdict(line)) + "\n")
            self._file.flush()
        except OSError as error:
            raise NotWritten(f"{self.folder} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Let another process in."""
        try:
            self._file.close()
        except OSError:
            # What could not be written was said when it could not.
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _size(self, name: str) -> int | None:
        try:
            return (self.folder / name).stat().st_size
        except OSError:
            return None
