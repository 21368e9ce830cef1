"""What hinders the worker's work as a whole: it is told, and it is tried again where that helps."""

import asyncio
import errno
import fcntl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.inbox import worker
from service.inbox.faults import log_ended
from service.inbox.inbox import Inbox
from service.inbox.worker import InboxWorker
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from service.telemetry.observed import ObservedSegmenter
from tests.service.inbox.bench import Bench, Receive, all_are, quick, states
from tests.service.inbox.conftest import mammogram
from tests.stow_server import stow_server
from tests.waiting import comes_true

pytestmark = pytest.mark.integration


class NoLocks:
    """Answers as a file system without locks does, until it has some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tries, self.has_locks, self._flock = 0, False, fcntl.flock
        monkeypatch.setattr("service.system.private_files.fcntl.flock", self)

    def __call__(self, *arguments: Any) -> None:
        if not self.has_locks:
            self.tries += 1
            raise OSError(errno.ENOLCK, "No locks on /export/of/ERIKA")
        self._flock(*arguments)


async def until(done: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(comes_true, done)


def watched(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    watch: Callable[[InboxWorker, Callable[[], float | None]], Awaitable[None]],
) -> None:
    """Run a worker while it is watched; with it comes what the metric of its faults shows."""
    metrics = Metrics()

    async def run() -> None:
        worker = InboxWorker(inbox, settings, ObservedSegmenter(segmenter, metrics), Bench())
        worker.start()
        try:
            await watch(worker, lambda: metrics.registry.get_sample_value("mammoseg_inbox_failing"))
        finally:
            await worker.stop()

    asyncio.run(run())


def test_a_lock_that_fails_is_told_once_and_tried_until_it_can_be_taken(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receive(mammogram())
    locks = NoLocks(monkeypatch)
    monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.02)

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: locks.tries > 3)
        assert (worker.is_failing, shown()) == (True, 1)
        assert states(inbox) == [("received", None)]
        locks.has_locks = True
        await until(all_are(inbox, "delivered"))
        assert (worker.is_failing, shown()) == (False, 0)

    with stow_server() as pacs:
        watched(inbox, quick(settings, pacs.url), segmenter, watch)
    written = "".join(capsys.readouterr())
    assert written.count("inbox-fault") == 1
    assert "ENOLCK" in written and "ERIKA" not in written


def test_work_that_ends_by_a_fault_is_told_and_keeps_nobody_from_stopping(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    receive: Receive,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail(self: InboxWorker, deliverer: object) -> None:
        raise RuntimeError("of ERIKA")

    monkeypatch.setattr(InboxWorker, "_deliver", fail)

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: worker.is_failing)
        assert shown() == 1
        # Without the lock none of the other loops goes on: another process may hold it.
        await until(lambda: worker._task is not None and worker._task.done())
        receive(mammogram())
        worker.wake()
        await asyncio.sleep(0.2)
        assert states(inbox) == [("received", None)]

    watched(inbox, quick(settings, "http://127.0.0.1:9/dicom-web"), segmenter, watch)
    written = "".join(capsys.readouterr())
    assert written.count("inbox-ended") == 1
    assert "RuntimeError" in written and "ERIKA" not in written


def test_a_lock_that_another_process_holds_is_no_fault(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def held(folder: object) -> None:
        tries.append(folder)

    monkeypatch.setattr(worker, "lock", held)
    monkeypatch.setattr("service.inbox.poller.POLL_S", 0.02)

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: len(tries) > 3)
        assert (worker.is_failing, shown()) == (False, 0)

    watched(inbox, settings, segmenter, watch)


def test_each_of_several_faults_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    log_ended(ExceptionGroup("of ERIKA", [ValueError("of ERIKA"), OSError(errno.EIO, "ERIKA")]))
    written = "".join(capsys.readouterr())
    assert written.count("inbox-ended") == 2
    assert "ValueError" in written and "EIO" in written and "ERIKA" not in written
