"""Which images are done: a line each in the folder of the results, so that a run can go on.

An image is done when its line says so of this very image, by this model and these choices, and its
result files are there at the size they were written with. Before files are written, a line claims
their names and says what they will hold: what no line names, or is of another content, is somebody
else's, also after a run that was killed. Two patients' images may have one path after the other,
one size, one time: only their content tells them apart.
"""

import hashlib
import json
import os
import threading
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from service.batch.cut_short import is_cut_short
from service.batch.fingerprint import Fingerprint
from service.batch.folder_lock import open_locked
from service.batch.journal_line import UNWRITTEN, Line, Row
from service.batch.results import CSV_NAME, BadName, NotWritten
from service.batch.rows import is_table_of
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
        self._lines: dict[str, Line] = {}
        # What was made of an image by another model, too, is the journal's own.
        self._owners: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._digests: dict[str, set[str]] = {}
        self._claimed: dict[str, str] = {}
        for line in lines:
            self._learn(line)
        if lines and not any(line.digest or UNWRITTEN in line.files.values() for line in lines):
            # Written by a version that claimed nothing; what CSV there is, it wrote.
            self._owners[CSV_NAME] = RUN
        self._earlier_rows = [line.row for line in lines if line.row and not line.digests]

    def _learn(self, line: Line) -> None:
        self._lines[line.name] = line
        self._sizes.update(line.files)
        for file, size in line.files.items():
            self._owners[file] = line.name
            digest = line.digests.get(file)
            # What is only claimed may still have the content that it had.
            known = self._digests.get(file, set()) if digest and size == UNWRITTEN else set()
            self._digests[file] = known | {digest} if digest else known

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
            is_own = self._owners.get(file) == name
            if not self._overwrite and not (is_own and self._is_as_written(file)):
                return TAKEN
        return None

    def _is_as_written(self, file: str) -> bool:
        """Say whether a result is what was written or what the disk left of it; else somebody's.

        A binary mask has one size, however it was corrected: its content is looked at. Of results
        of versions that wrote no digest, nothing is known; of their table, its rows.
        """
        written, digests = self._sizes.get(file, UNWRITTEN), self._digests.get(file)
        try:
            content = (self.folder / file).read_bytes()
        except OSError:
            return False
        if digests and hashlib.sha256(content).hexdigest() in digests:
            return True
        if not digests and file == CSV_NAME and is_table_of(content, self._earlier_rows):
            return True
        return (written == UNWRITTEN or len(content) <= written) and is_cut_short(content)

    def claim(self, source: Source, seen: Fingerprint, files: Mapping[str, bytes]) -> None:
        """Say that files are about to be written for an image, which may replace others.

        Parameters
        ----------
        source, seen
            The image, and its file as it was read.
        files
            What they will hold, by name.

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
        line = self._line(source, seen, dict.fromkeys(files, UNWRITTEN), row)
        self._claim(replace(line, digests=line.digests | _digests(files)), files)

    def reserve_of_run(self, file: str) -> None:
        """Keep a name for a file that is written when the run ends; raises as `claim`."""
        with self._lock:
            self._reserve(RUN, (file,))

    def claim_of_run(self, file: str, content: bytes) -> None:
        """Say that a file of the whole run is about to be written, and what; raises as `claim`."""
        digests = _digests({file: content})
        self._claim(
            Line(RUN, "", 0, 0, self._made_by, {file: UNWRITTEN}, {}, digests=digests), digests
        )

    def _claim(self, line: Line, files: Collection[str]) -> None:
        with self._lock:
            # Those of further formats, which the line keeps, are not replaced.
            self._reserve(line.name, files)
            if files:
                self._write(line)

    def _reserve(self, name: str, files: Iterable[str]) -> None:
        problem = self.problem(name, files)
        if problem is not None:
            raise BadName(*problem)
        self._claimed.update(dict.fromkeys(files, name))

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
        kept = earlier if earlier is not None and self._is_same(earlier, source, seen) else None
        return Line(
            source.name,
            str(source.path),
            seen.size,
            seen.mtime_ns,
            self._made_by,
            (kept.files if kept else {}) | dict(files),
            row,
            seen.head,
            seen.digest,
            kept.digests if kept else {},
        )

    def _is_same(self, earlier: Line, source: Source, seen: Fingerprint) -> bool:
        return earlier.made_by == self._made_by and earlier.is_of_content(source, seen)

    def _write(self, line: Line) -> None:
        self._learn(line)
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


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
