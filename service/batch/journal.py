"""Which images are done: a line each in the folder of the results, so that a run can go on.

An image is done when its line says so of this very image, by this model and these choices, and its
result files are there at the size they were written with. Before files are written, a line claims
their names: what no line names is somebody else's, also after a run that was killed. Two patients'
images may have one path after the other, one size, one time: only their content tells them apart.
"""

import json
import os
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from service.batch.fingerprint import Fingerprint
from service.batch.folder_lock import open_locked
from service.batch.journal_line import UNWRITTEN, Line, Row
from service.batch.results import CSV_NAME, BadName, NotWritten
from service.batch.sources import Source, identity

NAME = ".mammoseg.jsonl"

RUN = ""
"""Stands for the name of a source where a file is of the whole run."""

TAKEN = (
    "result-name-taken",
    "Its results have the name of a file that they are not to replace; choose another --out, or"
    " --overwrite.",
)
A_SOURCE = (
    "result-name-taken",
    "Its results would be written over an image that is read; choose another --out.",
)


class Journal:
    """The lines of one folder; for one process at a time, any of its threads.

    Parameters
    ----------
    folder
        Of the results; made when it is not there.
    made_by
        See `Line`.
    overwrite
        Files that no line names may be replaced.

    Raises
    ------
    NotWritten
        The folder cannot be written, or another process writes into it.
    """

    def __init__(self, folder: Path, made_by: str, *, overwrite: bool = False) -> None:
        self.folder, self._made_by, self._overwrite = folder, made_by, overwrite
        self._protected: set[tuple[int, int] | None] = set()
        self._lock = threading.Lock()
        self._file = open_locked(folder, NAME)
        self._file.seek(0)
        text = self._file.read()
        if text and not text.endswith("\n"):
            # A line that was broken off must not take the next one with it.
            self._file.write("\n")
        lines = [line for each in text.splitlines() if (line := Line.read(each)) is not None]
        self._lines = {line.name: line for line in lines}
        # What was made of an image by another model, too, is the journal's own.
        self._owners = {file: line.name for line in lines for file in line.files}
        self._sizes = {file: size for line in lines for file, size in line.files.items()}
        if lines and not any(UNWRITTEN in line.files.values() for line in lines):
            # Written by a version that claimed nothing; what CSV there is, it wrote.
            self._owners[CSV_NAME] = RUN
        self._claimed: dict[str, str] = {}

    def done(self, source: Source, files: Iterable[str]) -> Row | None:
        """Return the row of an image that is done, with these result files; None for another.

        Raises
        ------
        NotWritten
            It lies elsewhere now, which cannot be written down.
        """
        line = self._lines.get(source.name)
        # A claim has no row.
        if line is None or line.made_by != self._made_by or not line.row:
            return None
        # What was never made is not there, and has no size here or there.
        if any(name not in line.files or line.files[name] != self._size(name) for name in files):
            return None
        try:
            told = source.path.stat()
            if not line.is_of(source.path):
                return None
        except OSError:
            return None
        path = str(source.path)
        if (line.source, line.mtime_ns) != (path, told.st_mtime_ns):
            # The next run need not read all of it again.
            row = line.row | {"file": path}
            line = replace(line, source=path, mtime_ns=told.st_mtime_ns, row=row)
            with self._lock:
                self._write(line)
        return line.row

    def is_taken(self, source: Source) -> bool:
        """Say whether results of another image have this name, and are still there."""
        line = self._lines.get(source.name)
        if line is None or not self._is_there(line):
            return False
        try:
            return not line.is_of(source.path)
        except OSError:
            return False

    def rows_beside(self, names: Container[str]) -> Iterator[Row]:
        """Yield the rows of all images whose results are there, but of those of these names."""
        for line in self._lines.values():
            if line.row and line.name not in names and self._is_there(line):
                yield line.row

    def _is_there(self, line: Line) -> bool:
        """Say whether anything is left of what a line says; of its row, only it does."""
        if not line.files:
            return bool(line.row)
        return any(self._size(name) is not None for name in line.files)

    def protect(self, sources: Iterable[Source]) -> None:
        """Never write over files that are read, whatever was chosen."""
        self._protected.update(identity(source.path) for source in sources)

    def problem(self, name: str, files: Iterable[str]) -> tuple[str, str] | None:
        """Return why files are not to be written for a source of this name; None where they may.

        Returns
        -------
        Code and detail.
        """
        for file in files:
            # What this run wrote, or is about to, is kept whatever was chosen.
            if self._claimed.get(file, name) != name:
                return TAKEN
            path = self.folder / file
            if not os.path.lexists(path):
                continue
            told = identity(path)
            if told is not None and told in self._protected:
                return A_SOURCE
            is_own = self._owners.get(file) == name and not self._is_edited(file)
            if not self._overwrite and not is_own:
                return TAKEN
        return None

    def _is_edited(self, file: str) -> bool:
        """Say whether a result is not as it was written: somebody corrected it, or put another.

        What has no bytes was lost by the disk; what was only claimed may be whole or not.
        """
        written, there = self._sizes.get(file, UNWRITTEN), self._size(file)
        return written != UNWRITTEN and there not in (written, 0)

    def claim(self, source: Source, seen: Fingerprint, files: Iterable[str]) -> None:
        """Say that files are about to be written for an image, which may replace others.

        Raises
        ------
        BadName
            Something is there that they are not to replace.
        NotWritten
            The disk takes nothing more.
        """
        earlier = self._lines.get(source.name)
        is_same = earlier is not None and earlier.is_of_content(source, seen)
        if earlier is not None and not (is_same or self._overwrite) and self._is_there(earlier):
            # It was another one when it was read than when it was asked for.
            raise BadName(*TAKEN)
        row = earlier.row if earlier is not None and self._is_same(earlier, source, seen) else {}
        self._claim(self._line(source, seen, dict.fromkeys(files, UNWRITTEN), row))

    def claim_of_run(self, file: str) -> None:
        """Say that a file of the whole run is about to be written; raises as `claim`."""
        self._claim(Line(RUN, "", 0, 0, self._made_by, {file: UNWRITTEN}, {}))

    def _claim(self, line: Line) -> None:
        with self._lock:
            problem = self.problem(line.name, line.files)
            if problem is not None:
                raise BadName(*problem)
            for owners in (self._owners, self._claimed):
                owners.update(dict.fromkeys(line.files, line.name))
            self._sizes.update(line.files)
            if line.files:
                self._write(line)

    def add(self, source: Source, seen: Fingerprint, files: Mapping[str, int], row: Row) -> None:
        """Say that an image is done; its files are there.

        Raises
        ------
        NotWritten
            The disk takes nothing more.
        """
        with self._lock:
            self._write(self._line(source, seen, files, row))

    def _line(self, source: Source, seen: Fingerprint, files: Mapping[str, int], row: Row) -> Line:
        earlier = self._lines.get(source.name)
        # Results of other formats, made before and of the same, are still good.
        same = earlier is not None and self._is_same(earlier, source, seen)
        kept = dict(earlier.files) if earlier is not None and same else {}
        return Line(
            source.name,
            str(source.path),
            seen.size,
            seen.mtime_ns,
            self._made_by,
            kept | dict(files),
            row,
            seen.head,
            seen.digest,
        )

    def _is_same(self, earlier: Line, source: Source, seen: Fingerprint) -> bool:
        return earlier.made_by == self._made_by and earlier.is_of_content(source, seen)

    def _write(self, line: Line) -> None:
        self._lines[line.name] = line
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
