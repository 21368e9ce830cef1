"""Results that do not fit: nothing is left of them, and no attempt is used up by them."""

import asyncio
import errno
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.inbox.files import PROOF_BYTES, Files
from service.inbox.inbox import Inbox
from service.inbox.marker import FolderFails
from service.inbox.processing_queue import ProcessingQueue
from service.inbox.report_queue import ReportQueue
from service.inbox.states import Entry, StoredResult
from service.inbox.uncounted import Uncounted
from service.inbox.worker import InboxWorker
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.inbox.bench import Receive, all_are, quick, states
from tests.service.inbox.conftest import mammogram, opened, store
from tests.service.inbox.test_full_disk import FullDisk
from tests.service.inbox.test_worker_faults import until, watched
from tests.small_disk import FullFile, SmallDisk, small_disk
from tests.stow_server import StowServer

pytestmark = pytest.mark.integration

PADDING = bytes(3 * 2**19)
RESULT = mammogram(99) + struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, len(PADDING)) + PADDING
"""1.5 MiB: more than is proved of a disk as a rule."""

Shown = Callable[[], float | None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 12) as disk:
        yield disk


def attempts(inbox: Inbox) -> list[int]:
    return [entry.attempts for entry in inbox.instances.entries(None, 9)]


def make_large(
    monkeypatch: pytest.MonkeyPatch, inbox: Inbox, failed: Callable[[], None]
) -> list[None]:
    """Let each instance have a result of 1.5 MiB; the list has an item for each that did not fit.

    `failed` is called as it does not, before anything else is done.
    """
    tries: list[None] = []

    def make(_: InboxWorker, entry: Entry) -> list[StoredResult]:
        try:
            (digest,) = inbox.files.write_results([RESULT])
        except OSError:
            failed()
            tries.append(None)
            raise
        return [StoredResult("sr", f"2.25.{entry.id}", digest, len(RESULT))]

    monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.05)
    monkeypatch.setattr(InboxWorker, "_make_results", make)
    return tries


def test_nothing_is_left_of_results_that_do_not_fit(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, made = Files.create, []

    def full(self: Files) -> Any:
        file, path = create(self)
        made.append(path)
        return FullFile(file, 3 if len(made) == 2 else 2**20), path

    monkeypatch.setattr(Files, "create", full)
    with pytest.raises(FolderFails) as fault:
        inbox.files.write_results([b"one", b"two and more"])
    assert fault.value.errno == errno.ENOSPC
    assert len(made) == 2
    folder = inbox.files.folder
    assert not [*(folder / "incoming").iterdir(), *(folder / "results").iterdir()]


def test_a_proof_that_does_not_fit_is_deleted(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Files.create

    def full(self: Files) -> Any:
        file, path = create(self)
        return FullFile(file, 3), path

    monkeypatch.setattr(Files, "create", full)
    with pytest.raises(OSError, match="No space left"):
        inbox.prove_writable()
    assert not list(inbox.files.incoming.iterdir())


def test_what_did_not_fit_is_what_the_next_proof_asks_for(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Files.create

    def small(self: Files) -> Any:
        file, path = create(self)
        return FullFile(file, PROOF_BYTES + 1), path

    monkeypatch.setattr(Files, "create", small)
    inbox.prove_writable()
    with pytest.raises(FolderFails):
        inbox.files.write_results([RESULT])
    with pytest.raises(OSError, match="No space left"):
        inbox.prove_writable()


def test_results_wait_on_a_small_disk_and_go_on_once_there_is_room(
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = quick(settings, pacs.url, inbox=disk.folder / "inbox", inbox_report_not_run=False)
    with opened(chosen) as inbox:
        # The last room goes before the attempt is taken back: that cannot be written, either.
        tries = make_large(monkeypatch, inbox, disk.fill)
        store(inbox, mammogram())
        disk.fill(left=5 * 2**18)

        async def watch(worker: InboxWorker, shown: Shown) -> None:
            await until(lambda: bool(tries) and worker.is_failing)
            ends = time.monotonic() + 0.5
            while time.monotonic() < ends:
                assert states(inbox) == [("received", None)]
                assert (worker.is_failing, shown()) == (True, 1)
                await asyncio.sleep(0.02)
            # Each new try, which there is room for at first, takes an attempt if any does.
            for _ in range(settings.inbox_attempts):
                disk.empty()
                disk.fill(left=5 * 2**18)
                await asyncio.sleep(0.1)
            assert not [path for path in inbox.files.incoming.iterdir() if path.stat().st_size]
            disk.empty()
            await until(lambda: all_are(inbox, "delivered")() and not worker.is_failing)

        watched(inbox, chosen, segmenter, watch)
        assert attempts(inbox) == [1]
        assert not list(inbox.files.incoming.iterdir())


def test_processes_that_end_while_the_disk_is_full_use_up_no_attempt(
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = quick(settings, pacs.url, inbox=disk.folder / "inbox", inbox_report_not_run=False)
    for life in range(3):
        with opened(chosen) as inbox:
            tries = make_large(monkeypatch, inbox, disk.fill)
            store(inbox, mammogram())

            async def watch(worker: InboxWorker, shown: Shown, tries: list[None] = tries) -> None:
                await until(lambda: bool(tries) and worker.is_failing)

            disk.fill(left=5 * 2**18)
            watched(inbox, chosen, segmenter, watch)
            assert attempts(inbox) == [1], life
        disk.empty()

    async def go_on(worker: InboxWorker, shown: Shown) -> None:
        await until(all_are(inbox, "delivered"))

    with opened(chosen) as inbox:
        make_large(monkeypatch, inbox, disk.fill)
        watched(inbox, chosen, segmenter, go_on)
        assert attempts(inbox) == [1]
        assert not list(inbox.files.incoming.iterdir())


def test_an_attempt_whose_end_the_database_does_not_take_is_none(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram())
    disk = FullDisk(monkeypatch)
    processed = ProcessingQueue.processed
    ends: list[None] = []

    def fill(self: ProcessingQueue, *arguments: Any) -> None:
        ends.append(None)
        disk.is_full = len(ends) == 1
        processed(self, *arguments)

    monkeypatch.setattr(ProcessingQueue, "processed", fill)

    async def watch(worker: InboxWorker, shown: Shown) -> None:
        await until(lambda: disk.tries > 3 and worker.is_failing)
        assert attempts(inbox) == [1]
        disk.is_full = False
        await until(all_are(inbox, "delivered"))

    watched(inbox, quick(settings, pacs.url), segmenter, watch)
    assert (attempts(inbox), len(ends)) == ([1], 2)


def test_a_report_whose_end_the_database_does_not_take_has_used_up_no_attempt(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram(Modality="CR"))
    disk = FullDisk(monkeypatch)
    told, begun = ReportQueue.told, []

    def fill(self: ReportQueue, *arguments: Any, **named: Any) -> bool:
        untold = self._database.rows("SELECT attempts FROM untold")
        begun.append(untold[0][0])
        disk.is_full = len(begun) == 1
        return told(self, *arguments, **named)

    monkeypatch.setattr(ReportQueue, "told", fill)

    async def watch(worker: InboxWorker, shown: Shown) -> None:
        await until(lambda: disk.tries > 3 and worker.is_failing)
        disk.is_full = False
        await until(lambda: len(pacs.received) == 1)

    watched(inbox, quick(settings, pacs.url), segmenter, watch)
    assert begun == [1, 1]


def test_what_cannot_be_taken_back_is_taken_back_by_the_next_process(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def fail(*_: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    first = Uncounted(tmp_path, "processing", fail)
    first.add(7, 3)
    with pytest.raises(sqlite3.OperationalError):
        first.settle()
    Uncounted(tmp_path, "report", lambda *call: calls.append(call)).settle()
    assert not calls
    second = Uncounted(tmp_path, "processing", lambda *call: calls.append(call))
    second.settle()
    second.settle()
    assert calls == [(7, 3)]
    assert not list(tmp_path.iterdir())
