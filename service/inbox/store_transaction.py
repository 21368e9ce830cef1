"""One sender's transaction: its instances stream to the disk and are entered all at once."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from service.audit.instances import InstanceIdentity
from service.dicomweb.store_response import (
    CANNOT_UNDERSTAND,
    ELEMENTS_DISCARDED,
    OTHER_STUDY,
    OUT_OF_RESOURCES,
    SYNTAX_NOT_SUPPORTED,
    StoreOutcome,
)
from service.dimse.store_status import PROCESSING_FAILURE
from service.errors import PASSING_CODES, MammosegError, Overloaded, UnsupportedMedia
from service.inbox.database import DatabaseFails
from service.inbox.files import Files, disk_bytes
from service.inbox.header import Header, read_header
from service.inbox.instance_store import InstanceStore
from service.inbox.quota import DiskQuota, database_away, inbox_fails
from service.inbox.states import NOT_A_MAMMOGRAM, OWN_RESULT, UID_KNOWN, Arrival
from service.reading.reader import Reader
from service.system.durable import write_all

STEP = 2**24
"""Bytes of disk space that are claimed at a time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the inbox takes.

    Attributes
    ----------
    instance_bytes
        Largest instance.
    modalities
        What is received; others are set aside.
    """

    instance_bytes: int
    modalities: frozenset[str]


def aside_code(header: Header, bounds: Bounds) -> str | None:
    """Return why nothing is to be done with an instance, or None."""
    if header.own:
        return OWN_RESULT
    return None if header.modality in bounds.modalities else NOT_A_MAMMOGRAM


class Received(NamedTuple):
    """What a sender sent, for the audit trail.

    Attributes
    ----------
    identity
        Whose it is, as far as its header could be read.
    is_new
        The inbox had no copy, and has one now.
    failure
        Status with which it was refused; None where it was taken.
    """

    identity: InstanceIdentity
    is_new: bool
    failure: int | None


@dataclass(slots=True)
class _Incoming:
    """A file that is being written."""

    file: BinaryIO
    path: Path
    size: int = 0
    reserved: int = 0
    failure: int | None = None


class StoreTransaction:
    """Takes a sender's instances, one after another; leaving it drops what was not committed.

    It may be left in another thread than the one that writes.

    Parameters
    ----------
    files, instances, quota
        The inbox's.
    bounds
        What it takes.
    study
        Study Instance UID that all must have, or None.
    reader
        Looks at their headers.

    Raises
    ------
    Overloaded
        From every method: the inbox is full, or its disk fails.

    Attributes
    ----------
    received
        What came, once it is committed.
    """

    def __init__(
        self,
        files: Files,
        instances: InstanceStore,
        quota: DiskQuota,
        bounds: Bounds,
        study: str | None,
        reader: Reader,
    ) -> None:
        self._reader = reader
        self._files, self._instances, self._quota = files, instances, quota
        self._bounds, self._study = bounds, study
        self._lock = threading.Lock()
        self._open: _Incoming | None = None
        self._paths: dict[str, Path] = {}
        self._taken = 0
        self._closed = False
        self._outcomes: list[StoreOutcome | Arrival] = []
        self._identities: list[InstanceIdentity] = []
        self._fresh: set[str] = set()
        self.received: list[Received] = []

    def begin(self, failure: int | None = None) -> None:
        """Start an instance; of one that has failed already, the bytes are ignored."""
        with self._writing():
            self._open = _Incoming(*self._files.create(), failure=failure)

    def adopt(self, path: Path) -> None:
        """Take an instance that is written already; the file is moved."""
        with self._writing():
            self._open = incoming = _Incoming(*self._files.adopt(path))
            incoming.size = incoming.path.stat().st_size
            if incoming.size > self._bounds.instance_bytes:
                incoming.failure = OUT_OF_RESOURCES
            else:
                self._take_quota(incoming)
        self.end()

    def write(self, data: bytes | memoryview) -> None:
        """Take further bytes of it."""
        with self._writing():
            incoming = self._opened()
            incoming.size += len(data)
            if incoming.size > self._bounds.instance_bytes:
                incoming.failure = incoming.failure or OUT_OF_RESOURCES
            if incoming.failure is not None:
                incoming.file.truncate(0)
                return
            self._take_quota(incoming)
            write_all(incoming.file, data)

    def end(self) -> None:
        """Finish it: put it on the disk and see what it is."""
        with self._writing():
            incoming = self._opened()
            with incoming.file:
                os.fsync(incoming.file.fileno())
            self._identities.append(InstanceIdentity())
            self._outcomes.append(self._judge(incoming))
            self._open = None
            spare = incoming.reserved - disk_bytes(incoming.size)
            if spare > 0:
                self._quota.give_back(spare)
                self._taken -= spare

    def commit(self) -> list[StoreOutcome]:
        """Enter what was accepted; on return it outlives a crash."""
        with self._writing():
            arrivals = [each for each in self._outcomes if isinstance(each, Arrival)]
            entered = self._instances.enter(arrivals, self._keep, self._files.has_source)
            codes = iter(entered)
            outcomes = [
                StoreOutcome(
                    each.sop_class_uid,
                    each.sop_instance_uid,
                    warning=ELEMENTS_DISCARDED if next(codes) == UID_KNOWN else None,
                )
                if isinstance(each, Arrival)
                else each
                for each in self._outcomes
            ]
            self.received = [
                Received(whose, isinstance(it, Arrival) and it.digest in self._fresh, said.failure)
                for whose, it, said in zip(self._identities, self._outcomes, outcomes, strict=True)
            ]
        self.abandon()
        return outcomes

    def refused(self, failure: int) -> list[Received]:
        """Return what was looked at of a transaction that came to nothing, for the audit trail."""
        return [Received(whose, False, failure) for whose in self._identities]

    def abandon(self) -> None:
        """Delete what was not committed, and give its disk space back."""
        with self._lock:
            self._closed = True
            if self._open is not None:
                self._open.file.close()
                self._open.path.unlink(missing_ok=True)
                self._open = None
            for path in self._paths.values():
                path.unlink(missing_ok=True)
            self._paths = {}
            self._quota.give_back(self._taken)
            self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise Overloaded("draining", "The transaction was given up.")
            try:
                yield
            except DatabaseFails:
                raise database_away() from None
            except (OSError, sqlite3.Error):
                raise inbox_fails() from None

    def _take_quota(self, incoming: _Incoming) -> None:
        while incoming.size > incoming.reserved:
            self._quota.take(STEP)
            self._taken += STEP
            incoming.reserved += STEP

    def _opened(self) -> _Incoming:
        if self._open is None:
            raise RuntimeError("no instance was begun")
        return self._open

    def _judge(self, incoming: _Incoming) -> StoreOutcome | Arrival:
        if incoming.failure is not None:
            incoming.path.unlink()
            return StoreOutcome(None, None, incoming.failure)
        found = self._arrival(incoming)
        if (
            isinstance(found, StoreOutcome)
            or found.aside is not None
            or found.digest in self._paths
        ):
            incoming.path.unlink()
        else:
            self._paths[found.digest] = incoming.path
        return found

    def _arrival(self, incoming: _Incoming) -> StoreOutcome | Arrival:
        try:
            header = read_header(incoming.path, self._reader)
        except Overloaded:
            raise
        except UnsupportedMedia:
            return StoreOutcome(None, None, SYNTAX_NOT_SUPPORTED)
        except MammosegError as error:
            passes = error.code in PASSING_CODES
            return StoreOutcome(None, None, PROCESSING_FAILURE if passes else CANNOT_UNDERSTAND)
        self._identities[-1] = header.identity
        klass, instance = header.sop_class_uid, header.sop_instance_uid
        if klass is None or instance is None or header.study_instance_uid is None:
            return StoreOutcome(klass, instance, CANNOT_UNDERSTAND)
        if self._study is not None and header.study_instance_uid != self._study:
            return StoreOutcome(klass, instance, OTHER_STUDY)
        return Arrival(
            klass,
            instance,
            header.study_instance_uid,
            header.digest,
            disk_bytes(incoming.size),
            aside_code(header, self._bounds),
        )

    def _keep(self, fresh: list[Arrival]) -> None:
        self._fresh = {arrival.digest for arrival in fresh}
        self._files.keep_sources(
            [(self._paths[arrival.digest], arrival.digest) for arrival in fresh]
        )
        for arrival in fresh:
            del self._paths[arrival.digest]
