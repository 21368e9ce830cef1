"""What became of each item, and the one result of each image: one SQLite file beside the results.

The journal of `mammoseg segment` is keyed by file and held in memory; here one image may lie in
several files, and there may be a million. One process writes: results first, each file whole or not
at all, then their row. Whatever ends it in between, the next run makes the same files again, under
the same names.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from service.batch.archive.items import FileItem, Item, shown
from service.batch.archive.judge import Answer, Judged
from service.batch.cut_short import is_lost
from service.batch.folder_lock import make_not_for_all, open_locked
from service.batch.journal_line import Row
from service.batch.made_by import as_now
from service.batch.results import BadName, NotWritten, write_files
from service.errors import StartupError
from service.system.sqlite_file import LaterVersion, prepare, transaction

NAME = ".mammoseg-archive.sqlite"
LOCK_NAME = ".mammoseg-archive.lock"

VERSION = 1

PRAGMAS = (
    *("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"),
    "foreign_keys=ON",
)
"""Alone, write-ahead logging needs no shared memory: it works on a network share, too."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS bound (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS looked_for (modalities TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS item (
    location BLOB PRIMARY KEY,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT,
    image TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS image (
    image TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    location BLOB NOT NULL,
    files TEXT NOT NULL,
    row TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS region (
    image TEXT NOT NULL REFERENCES image ON DELETE CASCADE,
    number INTEGER NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (image, number)
) WITHOUT ROWID;
"""

SETTLED = frozenset(("done", "duplicate", "passed-over"))
"""States of items that are not looked at again; what was refused is, by the next run."""

ANOTHER_TIME = "under other modalities"
"""Version of an item that was passed over then: none has it."""

DIFFERS = (
    "instance-differs",
    "Another file has the same SOP Instance UID, and another data set or transfer syntax; the first"
    " one's result is kept.",
)


class OtherWork(StartupError):
    """The folder holds results of another archive, model or choice."""


class Ledger:
    """The ledger of one folder; for one process at a time, and one archive for good.

    Parameters
    ----------
    folder
        Of the results; made when it is not there.
    bound
        What its results must all agree in, by name: the archive, the model, the choices.
    names
        What will be written there beside the ledger; a new one begins where none of them is.
    modalities
        That are accepted now. What was passed over while others were is looked at again.

    Raises
    ------
    NotWritten
        The folder cannot be written, or another process writes into it.
    OtherWork
        It holds results of other work, or files that would be replaced and are no results.
    """

    def __init__(
        self,
        folder: Path,
        bound: dict[str, str],
        names: Iterable[str] = (),
        modalities: Iterable[str] = (),
    ) -> None:
        self.folder, self.bound = folder, bound
        self._lock = open_locked(folder, LOCK_NAME)
        try:
            # SQLite would make it for everybody to read.
            make_not_for_all(folder / NAME)
        except NotWritten:
            self._lock.close()
            raise
        self._connection = sqlite3.connect(folder / NAME, isolation_level=None)
        try:
            with self._written():
                self._prepare()
                self._bind(bound, names)
                self._look_for(",".join(sorted(modalities)))
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        try:
            prepare(self._connection, PRAGMAS, SCHEMA, VERSION)
        except LaterVersion:
            raise OtherWork(f"{self.folder} was written by a later version of mammoseg") from None

    def _bind(self, bound: dict[str, str], names: Iterable[str]) -> None:
        before = dict(self._connection.execute("SELECT key, value FROM bound"))
        for name in () if before else names:
            if os.path.lexists(self.folder / name):
                raise OtherWork(f"{self.folder} has {name} of somebody else: take another --out")
        for key, value in bound.items():
            # An earlier version said the same otherwise.
            if as_now(before.setdefault(key, value)) != as_now(value):
                raise OtherWork(f"{self.folder} holds results of another {key}: take another --out")
        self._connection.executemany("INSERT OR IGNORE INTO bound VALUES (?, ?)", bound.items())

    def _look_for(self, modalities: str) -> None:
        before = self._connection.execute("SELECT modalities FROM looked_for").fetchone()
        # A ledger that does not say what was accepted was written by a version that never asked.
        if before == (modalities,):
            return
        with transaction(self._connection):
            self._connection.execute("DELETE FROM looked_for")
            self._connection.execute("INSERT INTO looked_for VALUES (?)", (modalities,))
            self._connection.execute(
                "UPDATE item SET version = ? WHERE state = 'passed-over' AND code = ?",
                (ANOTHER_TIME, "modality-not-accepted"),
            )

    def is_settled(self, item: Item, version: str) -> bool:
        """Say whether nothing is left to do for an item, as it is now.

        Its result files are there, as they were written or as somebody corrected them; a file that
        changed since is looked at again.

        Raises `NotWritten` where the disk takes nothing more.
        """
        found = self._connection.execute(
            "SELECT state, version, files, digest FROM item LEFT JOIN image USING (image)"
            " WHERE item.location = ?",
            (item.location,),
        ).fetchone()
        if found is None or found[0] not in SETTLED or not version:
            return False
        state, before, files, digest = found
        if before != version and not self._is_of_earlier_form(item, version, before, digest):
            return False
        return state == "passed-over" or (files is not None and not self._lost(files))

    def _is_of_earlier_form(
        self, item: Item, version: str, before: str, digest: str | None
    ) -> bool:
        """Say whether it is what was settled when less of it was looked at; it is read once."""
        if digest is None or not isinstance(item, FileItem):
            return False
        if before not in item.earlier_versions() or not item.is_of(digest):
            return False
        with self._written():
            self._connection.execute(
                "UPDATE item SET version = ? WHERE location = ?", (version, item.location)
            )
        return True

    def take(self, answer: Answer, version: str) -> tuple[str, tuple[str, str] | None]:
        """Write down what came of an item, its results first.

        Parameters
        ----------
        version
            Of the item, as it was before it was read.

        Returns
        -------
        Its state, `duplicate` where another item has the same image; code and detail where it is
        refused.

        Raises
        ------
        NotWritten
            The disk takes nothing more.
        """
        state, problem, image = str(answer.state), answer.problem, None
        with self._written(), transaction(self._connection):
            if answer.made is not None:
                image = answer.made.image
                try:
                    state, problem = self._take_image(answer.item, answer.made)
                except BadName as error:
                    state, problem = "refused", (error.code, error.detail)
            self._connection.execute(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?)",
                (answer.item.location, version, state, problem and problem[0], image),
            )
        return state, problem

    def _take_image(self, item: Item, made: Judged) -> tuple[str, tuple[str, str] | None]:
        known = self._connection.execute(
            "SELECT digest, location, files FROM image WHERE image = ?", (made.image,)
        ).fetchone()
        lost, sizes = set(made.files), dict[str, int]()
        if known is not None:
            digest, location, files = known
            if digest != made.digest:
                return "refused", DIFFERS
            lost, sizes = self._lost(files), json.loads(files)
            if not lost:
                return ("done" if location == item.location else "duplicate"), None
        # The others are as good, or somebody corrected them.
        written = {name: content for name, content in made.files.items() if name in lost}
        write_files(self.folder, written)
        sizes |= {name: len(content) for name, content in written.items()}
        row = (made.image, made.digest, item.location, json.dumps(sizes), json.dumps(made.row))
        regions = [(made.image, each["number"], json.dumps(each)) for each in made.regions]
        self._connection.execute("DELETE FROM image WHERE image = ?", (made.image,))
        self._connection.execute("INSERT INTO image VALUES (?, ?, ?, ?, ?)", row)
        self._connection.executemany("INSERT INTO region VALUES (?, ?, ?)", regions)
        return "done", None

    def _lost(self, files: str) -> set[str]:
        """Return which of an image's result files are gone, or break off."""
        sizes: dict[str, int] = json.loads(files)
        return {name for name, size in sizes.items() if is_lost(self.folder / name, size)}

    def scores(self) -> Iterator[Row]:
        """Yield the row of each image, by its name."""
        for (row,) in self._connection.execute("SELECT row FROM image ORDER BY image"):
            yield json.loads(row)

    def regions(self) -> Iterator[Row]:
        """Yield the row of each region, by image and number."""
        for (row,) in self._connection.execute("SELECT row FROM region ORDER BY image, number"):
            yield json.loads(row)

    def items(self) -> Iterator[Row]:
        """Yield what became of each item, by location."""
        for location, state, code, image, row in self._connection.execute(
            "SELECT item.location, state, code, image, row FROM item LEFT JOIN image USING (image)"
            " ORDER BY item.location"
        ):
            yield {
                "location": shown(location),
                "state": state,
                "code": code,
                "image": row and json.loads(row)["image"],
                "result": image,
            }

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many items are in each state, and how many have each code."""
        states = "SELECT state, COUNT(*) FROM item GROUP BY state"
        codes = "SELECT code, COUNT(*) FROM item WHERE code IS NOT NULL GROUP BY code"
        return dict(self._connection.execute(states)), dict(self._connection.execute(codes))

    def totals(self) -> tuple[int, int, int]:
        """Return how many images there are, how many were decided to have a lesion, and regions."""
        totals: tuple[int, int, int] = self._connection.execute(
            "SELECT (SELECT COUNT(*) FROM image),"
            " (SELECT COUNT(*) FROM image WHERE json_extract(row, '$.decision')),"
            " (SELECT COUNT(*) FROM region)"
        ).fetchone()
        return totals

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise NotWritten(f"{self.folder / NAME} cannot be written: {error}") from None

    def close(self) -> None:
        """Let another process in."""
        with closing(self._lock), closing(self._connection):
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
