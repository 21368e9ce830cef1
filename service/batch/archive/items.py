"""Where the images of an archive are: in files, or on a server from which WADO-RS fetches them."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from service.batch.bodies import FileBody, SourceUnavailable, look_at
from service.batch.fingerprint import head_of, known_by
from service.dicomweb.archive import Archive, InstanceUids
from service.dicomweb.search import Server, ServerFailed
from service.errors import MammosegError
from service.imaging.source_header import digest_of_dataset


@dataclass(frozen=True, slots=True)
class FileItem:
    """An image in a file.

    Attributes
    ----------
    path
        Absolute.
    is_named
        The caller named the file itself: whatever is wrong with it is a fault.
    """

    path: Path
    is_named: bool = False

    @property
    def location(self) -> bytes:
        """What it is known by, from run to run."""
        return os.fsencode(self.path)

    def version(self) -> str:
        """Say which content it has: size, time of change, digest of its head; "" if none.

        Of a DICOM file, the head says whose it is: two patients' discs in one drive may agree in
        all else. A whole archive of such is not read again for it; what else there is, all is.
        """
        try:
            return f"{self._state()} {known_by(self.path)}"
        except OSError:
            return ""

    def earlier_versions(self) -> tuple[str, ...]:
        """Return what versions of the program said that looked at less of it; none if it is gone.

        Such a one had no digest, or the head's of what is read whole today.
        """
        try:
            state = self._state()
            return state, f"{state} {head_of(self.path)}"
        except OSError:
            return ()

    def _state(self) -> str:
        told = self.path.stat()
        return f"{told.st_size} {told.st_mtime_ns}"

    def is_of(self, digest: str) -> bool:
        """Say whether it is the image of a digest, of a whole file or of a dataset; reads all."""
        try:
            content = self.path.read_bytes()
            is_whole_file = digest == hashlib.sha256(content).hexdigest()
            return is_whole_file or digest == digest_of_dataset(content)
        except (OSError, MammosegError):
            return False


@dataclass(frozen=True, slots=True)
class InstanceItem:
    """An instance on a DICOMweb server. Valid or not: its UIDs are the server's words."""

    study_uid: str
    reference: InstanceUids
    is_named: bool = False

    @property
    def location(self) -> bytes:
        """What it is known by, from run to run."""
        uids = (self.study_uid, self.reference.series_uid, self.reference.instance_uid)
        return "/".join(uids).encode("utf-8", "backslashreplace")

    def version(self) -> str:
        """Return what stands for its content: an instance does not change (PS3.3 C.12.1)."""
        return "instance"


Item: TypeAlias = FileItem | InstanceItem


def shown(location: bytes) -> str:
    """Return a location as text, whatever bytes a file's name has."""
    return location.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Query:
    """Which studies of a DICOMweb server.

    Attributes
    ----------
    root
        URL of its DICOMweb services.
    filters
        Matching keys and values, as the query of a URL has them.
    credentials
        Name and password, where it wants them.
    """

    root: str
    filters: tuple[tuple[str, str], ...] = ()
    credentials: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InstanceBody:
    """An instance that was retrieved."""

    content: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.content)

    def read(self) -> bytes:
        """Return the file."""
        return self.content


class Fetcher:
    """Finds the bytes of items; for several threads.

    Parameters
    ----------
    max_bytes
        Of one image.
    query
        Where instances are; None for an archive of files.
    """

    def __init__(self, max_bytes: int, query: Query | None) -> None:
        self._max_bytes, self._query = max_bytes, query
        self._server = Server(query.credentials) if query else None

    def look_at(self, item: Item) -> FileBody | InstanceBody:
        """Find a file, or retrieve an instance.

        Raises
        ------
        MammosegError
            There is none to be read.
        """
        if isinstance(item, FileItem):
            return look_at(item.path, self._max_bytes)
        assert self._query is not None
        archive = Archive(self._query.root, item.study_uid, server=self._server)
        try:
            return InstanceBody(archive.retrieve(item.reference, self._max_bytes))
        except ServerFailed as failure:
            # Text of the server's is not passed on: it may quote the patient.
            raise SourceUnavailable(
                failure.code, "The server does not give this instance."
            ) from None
