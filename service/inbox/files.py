"""The inbox's files. What has its final name is whole and on the disk."""

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.inbox.folders import cannot_write, check_inbox_private, folders_of
from service.inbox.marker import MARKER, FolderFails, read_marker
from service.inbox.uncounted import PREFIX
from service.system.durable import sync_folder, write_all
from service.system.private_files import owner_only

BLOCK = 4096
"""A file takes its size rounded up to this; names and the database come on top."""

PROOF_BYTES = 2**20
"""What a disk takes that has room for an instance's results, as a rule."""

MAX_PROOF_BYTES = 2**24
"""Where results did not fit, a disk that takes as many bytes is proof, up to so many."""

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))

STALE_S = 3600.0
"""No sender takes so long between two pieces: the process of an unfinished file that has not
changed meanwhile died."""


def disk_bytes(size: int) -> int:
    """Return what a file of so many bytes takes on the disk, about."""
    return -(-size // BLOCK) * BLOCK or BLOCK


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a file was, and since when, by the monotonic clock."""

    size: int
    changed_ns: int
    since: float

    def is_same(self, later: "_Seen") -> bool:
        return (self.size, self.changed_ns) == (later.size, later.changed_ns)


class Files:
    """The folders of one inbox.

    Parameters
    ----------
    folder
        Made when it is not there.
    identity
        Of the database that it belongs to; None where that lies in the folder itself.

    Raises
    ------
    StartupError
        It cannot be made or written, or others may enter it.

    Attributes
    ----------
    incoming
        The folder of what is not whole yet.
    lost
        The folder of what the database does not name and that could not be entered; nobody deletes
        it.
    """

    def __init__(self, folder: Path, identity: str | None = None) -> None:
        self.folder, self._identity = folder, identity
        self._seen: dict[Path, _Seen] = {}
        self._proof_bytes = PROOF_BYTES
        self.incoming, self._sources, self._results, self.lost = folders_of(folder)
        try:
            for directory in (folder, *folders_of(folder)):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                check_inbox_private(directory)
            with self._draft() as (_, path):
                path.unlink()
        except OSError as error:
            raise cannot_write(folder, error) from None

    def mark(self) -> None:
        """Write the marker, if it is not there; durable on return.

        Raises
        ------
        StartupError
            It cannot be written.
        """
        try:
            if self._identity is None or read_marker(self.folder) is not None:
                return
            with self._draft() as (file, path):
                write_all(file, f"{self._identity}\n".encode())
                os.fsync(file.fileno())
                path.rename(self.folder / MARKER)
            sync_folder(self.folder)
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def check(self) -> None:
        """Check that this is still the inbox's folder: its share may be lost meanwhile.

        Raises
        ------
        FolderFails
            It is not there, or another is in its place.
        """
        try:
            is_ours = self._identity is None or read_marker(self.folder) == self._identity
            if is_ours and self._sources.is_dir() and self._results.is_dir():
                return
        except OSError as error:
            raise FolderFails(error.errno or errno.EIO) from None
        raise FolderFails

    def is_gone(self, file: Path, error: Exception) -> bool:
        """Say of a file, where the folder was there after an error, whether it alone is gone.

        The folder may have been away for the moment of the error.
        """
        return isinstance(error, FileNotFoundError) and not file.exists()

    def fault_behind(self, error: OSError) -> FolderFails | None:
        """Return what is wrong with the folder as a whole, if an error may come of that."""
        if isinstance(error, FolderFails):
            return error
        try:
            self.check()
        except FolderFails as fault:
            return fault
        return None

    def prove_writable(self) -> None:
        """Write a file as large as what found no room, and delete it.

        Raises
        ------
        OSError
            The disk is full, or fails.
        """
        self.check()
        with self._draft() as (file, path):
            write_all(file, bytes(self._proof_bytes))
            os.fsync(file.fileno())
            path.unlink()

    def create(self) -> tuple[BinaryIO, Path]:
        """Return a new file to write an instance into, and its path."""
        path = self.incoming / secrets.token_hex(16)
        return open(path, "xb", buffering=0, opener=owner_only), path

    @contextlib.contextmanager
    def _draft(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Yield a new file and its path; after an error it holds no room."""
        file, path = self.create()
        try:
            with file:
                yield file, path
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise

    def adopt(self, path: Path) -> tuple[BinaryIO, Path]:
        """Take over a file of the same disk that is written already; as `create`."""
        own = path.rename(self.incoming / secrets.token_hex(16))
        return own.open("r+b", buffering=0), own

    def source(self, digest: str) -> Path:
        """Return where the source of that digest lies."""
        return self._sources / f"{digest}.dcm"

    def result(self, digest: str) -> Path:
        """Return where the result of that digest lies."""
        return self._results / f"{digest}.dcm"

    def keep_sources(self, arrived: list[tuple[Path, str]]) -> None:
        """Give written and synced files their final names, by digest; durable on return.

        Raises
        ------
        FolderFails
            As `check`.
        """
        if arrived:
            self.check()
        for path, digest in arrived:
            path.rename(self.source(digest))
        if arrived:
            sync_folder(self._sources)

    def write_results(self, contents: list[bytes]) -> list[str]:
        """Write results, all or none, and give their digests; durable on return.

        Raises
        ------
        FolderFails
            As `check`, or the disk is full, or fails.
        """
        self.check()
        try:
            return self._write_results(contents)
        except OSError as error:
            if error.errno in NO_ROOM:
                wanted = min(sum(map(len, contents)), MAX_PROOF_BYTES)
                self._proof_bytes = max(self._proof_bytes, wanted)
            raise FolderFails(error.errno or errno.EIO) from None

    def _write_results(self, contents: list[bytes]) -> list[str]:
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        with contextlib.ExitStack() as drafts:
            paths = []
            for content in contents:
                file, path = drafts.enter_context(self._draft())
                write_all(file, content)
                os.fsync(file.fileno())
                paths.append(path)
            for path, digest in zip(paths, digests, strict=True):
                path.rename(self.result(digest))
        if digests:
            sync_folder(self._results)
        return digests

    def discard_source(self, digest: str) -> None:
        """Delete a source, if it is there."""
        self.source(digest).unlink(missing_ok=True)

    def discard_result(self, digest: str) -> None:
        """Delete a result, if it is there."""
        self.result(digest).unlink(missing_ok=True)

    def discard_stale(self) -> None:
        """Delete what senders of another life of the service left unfinished."""
        for path in self._stale(self.incoming, set()):
            if not path.name.startswith(PREFIX):
                path.unlink(missing_ok=True)

    def has_source(self, digest: str) -> bool:
        """Say whether the source of that digest is there."""
        return self.source(digest).is_file()

    def unnamed_sources(self, known: set[str]) -> list[Path]:
        """Return the files of sources whose digest is not among these."""
        return _others(self._sources, known)

    def unnamed_results(self, known: set[str]) -> list[Path]:
        """Return the files of results whose digest is not among these."""
        return _others(self._results, known)

    def lose(self, path: Path) -> None:
        """Move a source or a result to `lost`, beside what has its name there."""
        name = f"{path.parent.name}-{path.name}"
        target = self.lost / name
        while target.exists():
            target = self.lost / f"{secrets.token_hex(4)}-{name}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(target)

    def sweep(self, kept: set[str], known: set[str]) -> int:
        """Delete old files that are done with; move those that no row names to `lost`.

        Both once they have not changed for `STALE_S`.

        Parameters
        ----------
        kept
            Digests of what is needed.
        known
            Those and the digests of what was needed once, which a crash kept from being deleted.

        Returns
        -------
        int
            How many were moved.
        """
        moved = 0
        for folder in (self._sources, self._results):
            for path in self._stale(folder, kept):
                if path.stem in known:
                    path.unlink(missing_ok=True)
                else:
                    self.lose(path)
                    moved += 1
        return moved

    def _stale(self, folder: Path, kept: set[str]) -> Iterator[Path]:
        """Return the files but those kept that this process has seen unchanged for so long.

        Their own times are of the system's clock, which may have been set since: not looked at.
        Each was looked at just now: one that was sent again meanwhile is another file.
        """
        now = time.monotonic()
        earlier = {path: seen for path, seen in self._seen.items() if path.parent == folder}
        for path in folder.iterdir():
            if path.stem in kept:
                continue
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                seen = _Seen(state.st_size, state.st_mtime_ns, now)
                known = earlier.pop(path, None)
                if known is not None and known.is_same(seen):
                    seen = known
                self._seen[path] = seen
                if now - seen.since >= STALE_S:
                    yield path
        for path in earlier:
            del self._seen[path]


def _others(folder: Path, known: set[str]) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.stem not in known and path.is_file())
