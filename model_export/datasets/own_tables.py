"""The tables that people write for a set of their own: which of their columns are read.

A column that is passed over in silence does harm: with `patient_id` for `patient`, every image is a
patient of its own, and the split leaks.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from model_export.datasets.tables import DatasetError, Row, read_numbered_rows

LIKE = 0.86
"""Likeness (`difflib`) from which a word is a column's name misspelt: `patients`, `patient no`; not
`annotator` for `annotation`, nor `patient age`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table may hold.

    Attributes
    ----------
    name
        Of the file, in the set's folder.
    needed, read
        Columns that must be there, and others that are read.
    other_words
        By column, what people call it otherwise; in small letters, without anything between.
    """

    name: str
    needed: tuple[str, ...]
    read: tuple[str, ...]
    other_words: Mapping[str, tuple[str, ...]]

    @property
    def known(self) -> tuple[str, ...]:
        """Every column that is read."""
        return (*self.needed, *self.read)

    def meant_by(self, heading: str) -> str | None:
        """Return the column that a heading is another word for, or a slip of the pen."""
        word = _bare(heading)
        for column, words in self.other_words.items():
            if word in words:
                return column
        bare = {_bare(one): one for one in self.known}
        close = get_close_matches(word, bare, n=1, cutoff=LIKE)
        return bare[close[0]] if close else None


def read_own_rows(folder: Path, columns: Columns) -> list[tuple[int, Row]]:
    """Read a table, each row with the number of the line it ends on.

    Small and large letters of its headings are the same.

    Raises
    ------
    DatasetError
        A column is missing, is there twice, or is called otherwise than it is read; the message
        names it.
    """
    return read_numbered_rows(
        folder, columns.name, columns.needed, heading=lambda given: _read_as(given, columns)
    )


def unread(folder: Path, columns: Columns) -> list[str]:
    """Return the headings of a table that nothing reads, as they stand there."""
    path = folder / columns.name
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as table:
        given = next(csv.reader(table), [])
    headings = [one.strip() for one in given]
    return [one for one in headings if one and one.casefold() not in columns.known]


def _read_as(given: Sequence[str], columns: Columns) -> list[str]:
    headings = [one.strip().casefold() for one in given]
    twice = [one for one, count in Counter(headings).items() if one and count > 1]
    if twice:
        raise DatasetError(f"{columns.name} has the column {twice[0]!r} twice")
    for heading in headings:
        meant = None if heading in columns.known else columns.meant_by(heading)
        # Beside the column itself it is something else.
        if meant is not None and meant not in headings:
            raise DatasetError(
                f"{columns.name} has no column {meant!r}, but {heading!r}, which nothing reads: is "
                f"{meant!r} meant? Call it so, or otherwise where it is something else"
            )
    return headings


def _bare(heading: str) -> str:
    return "".join(one for one in heading.casefold() if one.isalnum())
