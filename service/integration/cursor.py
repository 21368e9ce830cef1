"""Where in Orthanc's changes we are, and what was given up, in a file that is always whole."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from service.inbox.files import sync_folder

MAX_GIVEN_UP = 10_000
"""The oldest beyond are forgotten; so many failures are an outage that has been noticed."""


@dataclass(slots=True)
class Cursor:
    """A position in the log of changes.

    Attributes
    ----------
    file
        Where it is kept.
    last
        Number of the last change that is dealt with; None before the first.
    given_up
        Orthanc's identifiers of instances that were tried in vain; they are tried once more when
        the follower starts.
    """

    file: Path
    last: int | None = None
    given_up: list[str] = field(default_factory=list)

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
            if not isinstance(last, int | None) or not all(
                isinstance(name, str) for name in given_up
            ):
                raise TypeError
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{file} is not a cursor of mammoseg follow") from None
        return cls(file, last, list(given_up))

    def save(self) -> None:
        """Write it: after a crash at any moment the file is the old one or the new one."""
        kept = {"last": self.last, "given_up": self.given_up[-MAX_GIVEN_UP:]}
        draft = self.file.with_name(f"{self.file.name}.new")
        with draft.open("w", encoding="utf-8") as sink:
            json.dump(kept, sink)
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(self.file)
        sync_folder(self.file.parent)
