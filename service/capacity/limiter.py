"""How many mammograms are held at once, and the threads that work on them off the event loop."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Literal, TypeVar

from service.buffer_pool import BufferPool
from service.cancellation import CancelToken
from service.capacity.budget import BodyBudget, PixelBudget
from service.capacity.plan import BYTES_PER_PIXEL, MemoryPlan
from service.capacity.rate import CompletionRate
from service.capacity.shares import Shares
from service.capacity.slot import Slot
from service.errors import Overloaded, TooManyRequests
from service.metrics import Metrics

Answer = TypeVar("Answer")

Door = Literal["images", "instances"]
"""What a caller sends: images, whose answer it waits for, or instances for the inbox."""

SHARES: dict[Door, int] = {"images": 2, "instances": 8}
"""Of all connections, one in so many may send at once through each door: so a full door does not
shut the other, and connections remain for those that send nothing."""


class RequestLimiter:
    """A bounded number of slots; a request takes one once its body is whole.

    Parameters
    ----------
    slots
        Mammograms held at once.
    workers
        Threads that decode, wait for the net, and encode. More than the cores, since a thread
        that waits for the net leaves its core to a decoder.
    memory
        What bodies and pixels may take.
    buffers
        The reader's, for bodies.
    timeout_s
        Longest wait for memory for a body, and again from the whole body to the answer.
    metrics
        Where the number in flight, and who waits for a thread, is shown.
    connections
        That may be open at once; bodies are received from a share of them.
    """

    def __init__(
        self,
        *,
        slots: int,
        workers: int,
        memory: MemoryPlan,
        buffers: BufferPool,
        timeout_s: float,
        metrics: Metrics,
        connections: int = 512,
    ) -> None:
        self._bodies = BodyBudget(memory.bodies_mib << 20, self._retry_after_s)
        self._pixels = PixelBudget(memory.pixels_mib << 20)
        self._buffers, self._timeout_s = buffers, timeout_s
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="mammogram")
        self._slots = slots
        self._held = 0
        self._receiving: dict[Door, int] = dict.fromkeys(SHARES, 0)
        self._most_receiving = {
            door: max(1, connections // share) for door, share in SHARES.items()
        }
        self._slot_shares = Shares(slots)
        self._sending_shares = {door: Shares(most) for door, most in self._most_receiving.items()}
        self._rate = CompletionRate()
        self._gauge = metrics.in_flight
        self._queue_length, self._queue_seconds = metrics.queue_length, metrics.queue_seconds
        metrics.slots.set(slots)
        self.leaving = False
        """True once the service is not ready any more; it still takes requests, since whoever
        routes them must learn of that before any is refused."""
        self.draining = False

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """Hold a slot while in the context, and what is claimed through it.

        Raises
        ------
        Overloaded
            All are taken, or the service is shutting down.
        """
        with self._claiming(None) as slot:
            slot.take()
            yield slot

    @contextmanager
    def receiving(self, door: Door, caller: str | None = None) -> Iterator[Slot]:
        """Receive a body in the context; the caller takes the slot once the body is whole.

        So a slow sender holds no slot. But while all slots are taken, no further image is received.

        Parameters
        ----------
        door
            What is sent.
        caller
            Whose share it is counted in; None where nobody is asked who it is.

        Raises
        ------
        Overloaded
            All slots are taken, too many send, or the service is shutting down.
        TooManyRequests
            The caller holds its share of either.
        """
        shares = self._sending_shares[door]
        # Asked even if all is taken: so it is known who waits.
        may_send = shares.may_take(caller)
        if door == "images":
            self._check_slots(caller)
        if self._receiving[door] >= self._most_receiving[door]:
            raise self._busy("Too many send at once; try again later.")
        if not may_send:
            raise self._over_share()
        self._receiving[door] += 1
        shares.take(caller)
        try:
            with self._claiming(caller) as slot:
                yield slot
        finally:
            self._receiving[door] -= 1
            shares.give_back(caller)

    @contextmanager
    def _claiming(self, caller: str | None) -> Iterator[Slot]:
        if self.draining:
            raise Overloaded("draining", "The service is shutting down.")
        slot = Slot(self._bodies, self._buffers, self._timeout_s, partial(self._take, caller))
        try:
            yield slot
        finally:
            slot.release()
            if slot.taken:
                self._held -= 1
                self._slot_shares.give_back(caller)
                self._gauge.set(self._held)

    def _take(self, caller: str | None) -> None:
        self._check_slots(caller)
        self._held += 1
        self._slot_shares.take(caller)
        self._gauge.set(self._held)

    def _check_slots(self, caller: str | None) -> None:
        may_take = self._slot_shares.may_take(caller)
        if self._held >= self._slots:
            raise self._busy("All places are taken; try again later.")
        if not may_take:
            raise self._over_share()

    def _over_share(self) -> TooManyRequests:
        detail = "You hold your share of the places; try again later."
        return TooManyRequests("share", detail, self._retry_after_s())

    def _busy(self, detail: str) -> Overloaded:
        return Overloaded("busy", detail, self._retry_after_s())

    def new_token(self) -> CancelToken:
        """Return a caller's token; its time starts now."""
        return CancelToken(self._timeout_s)

    def pixels(self, count: int, token: CancelToken | None = None) -> AbstractContextManager[None]:
        """Hold memory for an image of so many pixels while in the context; waits for it."""
        return self._pixels.claim(count * BYTES_PER_PIXEL, token or self.new_token())

    @property
    def is_idle(self) -> bool:
        """Whether no mammogram is held."""
        return not self._held

    def memory(self, mib: int) -> AbstractContextManager[None]:
        """Hold memory for something else than images while in the context; waits for it.

        All that images may take at most: then they wait meanwhile.
        """
        return self._pixels.lend(mib << 20, CancelToken())

    async def work(self, task: Callable[[], Answer]) -> Answer:
        """Run a CPU-bound task on a worker thread and wait for it."""
        with self._rate.at_work():
            return await asyncio.wrap_future(self._submit(task))

    async def work_for(
        self, caller: Coroutine[Any, Any, None], token: CancelToken, task: Callable[[], Answer]
    ) -> Answer:
        """Run a task for as long as somebody waits for it.

        Parameters
        ----------
        caller
            Returns when the caller leaves.
        token
            The caller's; the task checks it, and is cancelled through it.
        task
            CPU-bound; see `work`.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            The caller left, or its deadline passed, before the task was done. A running task is
            waited for all the same, so that its slot is taken for as long as its memory is; one
            that no thread has begun is dropped.
        """
        begun = self._submit(task)
        answer: asyncio.Future[Answer] = asyncio.wrap_future(begun)
        left: asyncio.Future[None] = asyncio.ensure_future(caller)
        either: set[asyncio.Future[Any]] = {answer, left}
        try:
            with self._rate.at_work():
                await asyncio.wait(
                    either, timeout=token.remaining_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not answer.done():
                    (token.cancel if left.done() else token.expire)()
                    if begun.cancel():
                        token.raise_if_cancelled()
                return await answer
        finally:
            token.cancel()
            left.cancel()

    def _submit(self, task: Callable[[], Answer]) -> "Future[Answer]":
        """Let a task wait for a thread, and count how long it does."""
        submitted = time.perf_counter()
        self._queue_length.inc()

        def begin() -> Answer:
            self._queue_length.dec()
            self._queue_seconds.observe(time.perf_counter() - submitted)
            return task()

        def dropped(done: "Future[Answer]") -> None:
            if done.cancelled():
                self._queue_length.dec()

        submission = self._pool.submit(begin)
        submission.add_done_callback(dropped)
        return submission

    def close(self) -> None:
        """Finish what was begun, then stop the threads."""
        self._pool.shutdown(wait=True)

    def _retry_after_s(self) -> float:
        return self._rate.seconds_for(self._held)
