"""A disk that takes nothing more: each loop says so once, waits, and goes on when there is room."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import Any

import pytest

from service.inbox.deliverer import Deliverer
from service.inbox.inbox import Inbox
from service.inbox.processor import Processor
from service.inbox.report_queue import ReportQueue
from service.inbox.worker import InboxWorker
from service.segmenter import Segmenter
from service.settings import Settings
from service.system.sqlite_file import SqliteFile
from tests.service.inbox.bench import Receive, all_are, quick, states
from tests.service.inbox.conftest import mammogram
from tests.service.inbox.test_worker_faults import until, watched
from tests.stow_server import StowServer

pytestmark = pytest.mark.integration

Watch = Callable[[InboxWorker, Callable[[], float | None]], Awaitable[None]]


class FullDisk:
    """Answers writes as SQLite does on a full disk, while it is full; reads go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.tries, self._transaction = False, 0, SqliteFile.transaction
        disk = self

        @contextmanager
        def transaction(file: SqliteFile) -> Any:
            with disk._transaction(file) as connection:
                yield connection
                if disk.is_full:
                    disk.tries += 1
                    raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(SqliteFile, "transaction", transaction)
        monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.1)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    return FullDisk(monkeypatch)


def full_for_a_while(inbox: Inbox, disk: FullDisk) -> Watch:
    """Watch a worker on a full disk for a second, and then until all is delivered."""

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: disk.tries > 0 and worker.is_failing)
        before, ends = disk.tries, time.monotonic() + 1.0
        while time.monotonic() < ends:
            assert (worker.is_failing, shown()) == (True, 1)
            await asyncio.sleep(0.003)
        # Two loops, ten pauses each.
        assert disk.tries - before <= 25
        disk.is_full = False
        await until(lambda: all_are(inbox, "delivered")() and not worker.is_failing)
        assert shown() == 0

    return watch


def test_instances_wait_while_the_disk_is_full_and_are_processed_then(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    disk: FullDisk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receive(*(mammogram(number) for number in (1, 2, 3)))
    make = Processor._process

    async def process(self: Processor, entry: Any) -> None:
        disk.is_full = disk.is_full or disk.tries == 0
        await make(self, entry)

    monkeypatch.setattr(Processor, "_process", process)
    watched(inbox, quick(settings, pacs.url), segmenter, full_for_a_while(inbox, disk))
    written = "".join(capsys.readouterr())
    # Each loop that has something to write says so once.
    told = written.count("inbox-fault")
    assert 1 <= told <= 3
    assert written.count("inbox-goes-on") == told
    assert [entry.attempts for entry in inbox.instances.entries(None, 9)] == [1, 1, 1]


def test_a_result_is_not_sent_again_and_again_while_that_it_was_cannot_be_written_down(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    disk: FullDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram())
    attempt = Deliverer._attempt

    async def fill(self: Deliverer, delivery: Any) -> int | None:
        disk.is_full = disk.is_full or disk.tries == 0
        return await attempt(self, delivery)

    monkeypatch.setattr(Deliverer, "_attempt", fill)
    watched(inbox, quick(settings, pacs.url), segmenter, full_for_a_while(inbox, disk))
    assert sum(len(files) for files in pacs.received.values()) == 3


def test_a_report_waits_while_the_disk_is_full(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    pacs: StowServer,
    disk: FullDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(mammogram(Modality="CR"))
    begin = ReportQueue.begin

    def fill(self: ReportQueue, *arguments: Any) -> None:
        disk.is_full = disk.is_full or disk.tries == 0
        begin(self, *arguments)

    monkeypatch.setattr(ReportQueue, "begin", fill)

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: disk.tries > 2)
        assert (worker.is_failing, shown()) == (True, 1)
        disk.is_full = False
        await until(lambda: len(pacs.received) == 1 and not worker.is_failing)

    watched(inbox, quick(settings, pacs.url), segmenter, watch)
    assert [state for state, _ in states(inbox)] == ["refused"]


def test_an_error_of_the_program_in_one_loop_leaves_the_service_ready(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = []

    async def fail(self: Deliverer) -> None:
        tries.append(self)
        raise KeyError("of ERIKA")

    monkeypatch.setattr(Deliverer, "step", fail)
    monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.02)

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: len(tries) > 3)
        assert (worker.is_failing, shown()) == (False, 0)

    watched(inbox, settings, segmenter, watch)
