"""Where in Orthanc's changes we are, and what was given up, in a file that is always whole."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from service.system.durable import sync_folder
from service.system.private_files import owner_only
from service.system.whole_file import whole_file

MAX_GIVEN_UP = 10_000
"""The oldest beyond are forgotten; so many failures are an outage that has been noticed."""


class Mark(NamedTuple):
    """A change that was read.

    Attributes
    ----------
    number
        Of the change.
    what
        What it is: another log has another one under that number.
    end
        Number of the newest change there was when all up to this one were dealt with: their results
        are not after it.
    """

    number: int
    what: str
    end: int


@dataclass(slots=True)
class Cursor:
    """A position in the log of changes.

    Nothing that Orthanc says of itself tells its database from another, or from an older copy of
    itself; so the log is known by what was read of it.

    Attributes
    ----------
    file
        Where it is kept.
    last
        Number of the last change that is dealt with; None before the first.
    given_up
        Orthanc's identifiers of instances that were tried in vain; they are tried once more when
        the follower starts.
    marks
        Of changes that were read, by number: the last, and ever fewer of those before. Empty where
        a version wrote the file that kept none.
    tip
        The newest change there was when an image had been dealt with: a log that has it is the same
        one, whatever was deleted since.
    """

    file: Path
    last: int | None = None
    given_up: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    tip: Mark | None = None

    @classmethod
    def load(cls, file: Path) -> "Cursor":
        """Read it; an absent file gives a fresh one.

        Raises
        ------
        ValueError
            The file is no cursor.
        """
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            return cls(file)
        try:
            kept = json.loads(text)
            last, given_up = kept["last"], kept["given_up"]
            marks = [Mark(*mark) for mark in kept.get("marks", ())]
            tips = [Mark(*mark) for mark in (kept.get("tip"),) if mark is not None]
            if not isinstance(last, int | None) or not all(
                isinstance(name, str) for name in given_up
            ):
                raise TypeError
            if not all(list(map(type, mark)) == [int, str, int] for mark in marks + tips):
                raise TypeError
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(f"{file} is not a cursor of mammoseg follow") from None
        return cls(file, last, list(given_up), marks, *tips)

    def move_to(self, mark: Mark) -> None:
        """Stand on a change that was read."""
        self.last = mark.number
        # One from each distance of 2^n to 2^(n+1), the oldest: a log of millions has two dozen.
        thinned: dict[int, Mark] = {}
        for each in (*self.marks, mark):
            thinned.setdefault((mark.number - each.number).bit_length(), each)
        self.marks = list(thinned.values())

    def save(self) -> None:
        """Write it: after a crash at any moment the file is the old one or the new one."""
        kept = {
            "last": self.last,
            "given_up": self.given_up[-MAX_GIVEN_UP:],
            "marks": self.marks,
            "tip": self.tip,
        }
        with (
            whole_file(self.file) as draft,
            open(draft, "w", encoding="utf-8", opener=owner_only) as sink,
        ):
            json.dump(kept, sink)
            sink.flush()
            os.fsync(sink.fileno())
        sync_folder(self.file.parent)
