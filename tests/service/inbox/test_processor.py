"""The processor with a work of our own: what is tried again, and what comes first."""

import asyncio
import errno
import threading
import time

import pytest

from service.errors import (
    DeadlineExceeded,
    MammosegError,
    Overloaded,
    UnreadableImage,
    UnsuitableImage,
)
from service.inbox.inbox import Inbox
from service.inbox.marker import FolderFails
from service.inbox.states import Entry, StoredResult
from tests.service.inbox.bench import Bench, Receive, all_are, process, processor_of, states
from tests.service.inbox.conftest import BOTH_DATABASES, mammogram

pytestmark = [pytest.mark.integration, *BOTH_DATABASES]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeadlineExceeded("deadline", "late"), "deadline"),
        (Overloaded("no-reader", "none"), "no-reader"),
        (UnsuitableImage("decode-limit", "too slow"), "decode-limit"),
        (UnreadableImage("decode-failed", "two readers died"), "decode-failed"),
        (OSError(28, "No space left on device"), "internal"),
        (MemoryError(), "internal"),
        (ValueError("Mustermann"), "internal"),
    ],
)
def test_what_may_pass_is_tried_again_and_then_dead(
    inbox: Inbox, receive: Receive, error: Exception, code: str
) -> None:
    receive(mammogram())
    tries = []

    def fail(entry: Entry) -> list[StoredResult]:
        tries.append(entry.attempts)
        raise error

    process(inbox, fail, Bench(), all_are(inbox, "dead"))
    assert tries == [0, 1, 2]
    assert states(inbox) == [("dead", code)]
    (entry,) = inbox.instances.entries(None, 9)
    assert inbox.files.source(entry.digest).exists()


def test_a_refusal_is_not_tried_again(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())

    def refuse(_: Entry) -> list[StoredResult]:
        raise UnsuitableImage("intent", "not this one")

    process(inbox, refuse, Bench(), all_are(inbox, "refused"))
    assert states(inbox) == [("refused", "intent")]


def test_what_the_process_did_not_survive_is_not_begun_for_ever(
    inbox: Inbox, receive: Receive
) -> None:
    receive(mammogram())
    for _ in range(3):
        inbox.processing.begin(1, 0.0)

    def never(_: Entry) -> list[StoredResult]:
        raise AssertionError

    process(inbox, never, Bench(), all_are(inbox, "dead"))
    assert states(inbox) == [("dead", "process-died")]


def test_a_source_that_is_gone_does_not_come_back(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())

    def read(entry: Entry) -> list[StoredResult]:
        inbox.files.discard_source(entry.digest)
        inbox.files.source(entry.digest).read_bytes()
        return []

    process(inbox, read, Bench(), all_are(inbox, "dead"))
    assert inbox.instances.entries(None, 1)[0].attempts == 1
    assert states(inbox) == [("dead", "source-missing")]


def test_requests_go_first_and_waiting_costs_no_attempt(
    inbox: Inbox, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inbox.processor.BUSY_S", 0.01)
    receive(mammogram())
    bench = Bench()
    bench.full = True
    threading.Timer(0.2, lambda: setattr(bench, "full", False)).start()
    tries = []

    def refuse(entry: Entry) -> list[StoredResult]:
        tries.append(entry.attempts)
        raise MammosegError("internal", "x")

    process(inbox, refuse, bench, lambda: bool(tries))
    assert tries[0] == 0


def test_a_service_that_leaves_begins_nothing_new(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())
    bench = Bench()
    rounds: list[None] = []
    bench.leaving = True

    def looked() -> bool:
        rounds.append(None)
        return len(rounds) > 3

    process(inbox, lambda _: [], bench, looked)
    assert states(inbox) == [("received", None)]
    assert inbox.instances.entries(None, 1)[0].attempts == 0


def test_only_so_many_are_in_work_at_once(inbox: Inbox, receive: Receive) -> None:
    receive(*(mammogram(number) for number in range(1, 7)))
    bench = Bench()

    def slow(entry: Entry) -> list[StoredResult]:
        time.sleep(0.02)
        digests = inbox.files.write_results([entry.sop_instance_uid.encode()])
        return [StoredResult("sr", f"2.25.{entry.id}", digests[0], 4096)]

    process(inbox, slow, bench, all_are(inbox, "processed"))
    assert bench.most == 2
    assert inbox.deliveries.due("pacs") is not None


def test_after_a_fault_one_instance_is_begun_and_no_other_before_its_end(
    inbox: Inbox, receive: Receive
) -> None:
    receive(*(mammogram(number) for number in range(1, 6)))
    tries: list[int] = []
    is_full, bench = True, Bench()

    def make(entry: Entry) -> list[StoredResult]:
        tries.append(entry.id)
        if is_full:
            raise FolderFails(errno.ENOSPC)
        time.sleep(0.05)
        digests = inbox.files.write_results([entry.sop_instance_uid.encode()])
        return [StoredResult("sr", f"2.25.{entry.id}", digests[0], 4096)]

    async def run() -> None:
        nonlocal is_full
        processor = processor_of(inbox, make, bench)
        await processor.step()
        await processor.finish()
        for count in (3, 4):
            # The one that is begun tells by its own step that the fault is still there.
            while len(tries) < count:
                with pytest.raises(FolderFails):
                    await processor.step()
            assert len(tries) == count
        is_full, bench.most = False, 0
        await processor.step()
        assert (len(tries), bench.most) == (5, 1)
        await processor.step()
        await processor.finish()
        assert (len(tries), bench.most) == (7, 2)

    asyncio.run(run())
    assert [entry.attempts for entry in inbox.instances.entries(None, 9)] == [0, 0, 1, 1, 1]
