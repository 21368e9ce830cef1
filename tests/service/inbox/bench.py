"""A bench to work at, a worker at it, and what the database says."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.backoff import Backoff
from service.buffer_pool import BufferPool
from service.capacity.limiter import RequestLimiter
from service.capacity.plan import MemoryPlan
from service.capacity.slot import Slot
from service.errors import Overloaded
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.processor import Processor
from service.inbox.replica_lease import NOBODY, ReplicaLease
from service.inbox.sqlite import SqliteDatabase
from service.inbox.states import Entry, StoredResult
from service.inbox.worker import InboxWorker
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from service.telemetry.observed import ObservedSegmenter
from tests.waiting import HANG_S

Receive = Callable[..., object]
WAIT_S = HANG_S
PLAN = MemoryPlan(readers=1, reader_mib=1, bodies_mib=8, pixels_mib=8)


class Bench(RequestLimiter):
    """A service's limiter that can be full, and counts the slots that are held at once."""

    def __init__(self) -> None:
        super().__init__(
            slots=8,
            workers=4,
            memory=PLAN,
            buffers=BufferPool(0),
            timeout_s=WAIT_S,
            metrics=Metrics(),
        )
        self.full = False
        self.most = self.now = 0

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        if self.full:
            raise Overloaded("busy", "full")
        with super().slot() as slot:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                yield slot
            finally:
                self.now -= 1


def states(inbox: Inbox) -> list[tuple[str, str | None]]:
    return [(entry.state, entry.code) for entry in reversed(inbox.instances.entries(None, 99))]


def all_are(inbox: Inbox, state: str) -> Callable[[], bool]:
    return lambda: {name for name, _ in states(inbox)} == {state}


def quick(settings: Settings, *urls: str, **more: object) -> Settings:
    """Return settings with these destinations, which are soon tried again."""
    changes = {"destinations": urls, "retry_first_s": 0.01, "retry_longest_s": 0.05} | more
    return Settings.model_validate(settings.model_dump() | changes)


def work_until(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    done: Callable[[], bool],
    metrics: Metrics | None = None,
) -> None:
    """Run a worker until something is so, then stop it as at the end of the service.

    Where the inbox had a lease, it has one again.
    """
    lease = inbox.lease
    had_lease = isinstance(lease, ReplicaLease) and lease.id != NOBODY

    async def run() -> None:
        worker = InboxWorker(
            inbox, settings, ObservedSegmenter(segmenter, metrics or Metrics()), Bench()
        )
        worker.start()
        ends = time.monotonic() + WAIT_S
        while not done() and time.monotonic() < ends:
            await asyncio.sleep(0.01)
        await worker.stop()

    asyncio.run(run())
    if lease is not None and had_lease:
        lease.start(())
    assert done(), (states(inbox), inbox.instances.deliveries(1))


def sqlite_of(inbox: Inbox) -> SqliteDatabase:
    """Return an inbox's database, with what is its own."""
    assert isinstance(inbox._database, SqliteDatabase)
    return inbox._database


def processor_of(
    inbox: Inbox,
    make_results: Callable[[Entry], list[StoredResult]],
    bench: Bench,
    stopped: Callable[[], None] | None = None,
) -> Processor:
    """Return a processor with a work of our own, of two instances at once."""
    return Processor(
        inbox,
        make_results,
        bench,
        ["pacs"],
        at_once=2,
        backoff=Backoff(0.01, 0.02, 3),
        poller=Poller(),
        done=lambda: None,
        stopped=stopped,
    )


def process(
    inbox: Inbox,
    make_results: Callable[[Entry], list[StoredResult]],
    bench: Bench,
    done: Callable[[], bool],
    stopped: Callable[[], None] | None = None,
) -> None:
    """Run a processor with a work of our own until something is so."""

    async def run() -> None:
        processor = processor_of(inbox, make_results, bench, stopped)
        ends = time.monotonic() + WAIT_S
        while not done() and time.monotonic() < ends:
            processor.poller.wake()
            await processor.step()
            await asyncio.sleep(0.005)
        await processor.finish()

    asyncio.run(run())
    assert done(), states(inbox)


def make(inbox: Inbox, id: int, *destinations: str) -> list[StoredResult]:
    """Enter an SR and a SEG as results, with their files."""
    contents = [f"{kind} of {id}".encode() for kind in ("seg", "sr")]
    digests = inbox.files.write_results(contents)
    made = [
        StoredResult(kind, f"2.25.{id}{number}", digest, 4096)
        for number, (kind, digest) in enumerate(zip(("seg", "sr"), digests, strict=True))
    ]
    inbox.processing.processed(id, made, destinations)
    return made
