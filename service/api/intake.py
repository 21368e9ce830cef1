"""How many mammograms are held at once, and the threads that work on them off the event loop."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from service.api.room import BodyRoom, PixelRoom
from service.errors import Overloaded
from service.memory import BYTES_PER_PIXEL, MemoryPlan
from service.metrics import Metrics

Answer = TypeVar("Answer")


class Place:
    """One mammogram's place, and the room that its body takes."""

    def __init__(self, room: BodyRoom, timeout_s: float) -> None:
        self._room, self._timeout_s = room, timeout_s
        self._claimed = 0

    async def claim(self, size: int) -> None:
        """Wait for room for a body of so many bytes; see `BodyRoom`."""
        self._claimed += await self._room.claim(size, self._timeout_s)

    def claim_now(self, size: int) -> None:
        """Take room for so many bytes more, or fail; see `BodyRoom`."""
        self._claimed += self._room.claim_now(size)

    def release(self) -> None:
        """Let go of all of it."""
        self._room.give_back(self._claimed)
        self._claimed = 0


class Intake:
    """A bounded number of places; a request takes one before its body is read.

    Parameters
    ----------
    places
        Mammograms held at once.
    workers
        Threads that decode, wait for the net, and encode. More than the cores, since a thread
        that waits for the net leaves its core to a decoder.
    memory
        What bodies and pixels may take.
    timeout_s
        Longest wait for that.
    metrics
        Where the number in flight is shown.
    """

    def __init__(
        self, *, places: int, workers: int, memory: MemoryPlan, timeout_s: float, metrics: Metrics
    ) -> None:
        self._bodies = BodyRoom(memory.bodies_mib << 20)
        self._pixels = PixelRoom(memory.pixels_mib << 20)
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="mammogram")
        self._places = places
        self._workers = workers
        self._held = 0
        self._seconds = 1.0
        self._gauge = metrics.in_flight
        self.draining = False

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Hold a place while in the context, and what is claimed through it.

        Raises
        ------
        Overloaded
            All are taken, or the service is shutting down.
        """
        if self.draining:
            raise Overloaded("draining", "The service is shutting down.")
        if self._held >= self._places:
            wait = math.ceil(self._held * self._seconds / self._workers)
            raise Overloaded("busy", "All places are taken; try again later.", wait)
        self._held += 1
        self._gauge.set(self._held)
        place = Place(self._bodies, self._timeout_s)
        try:
            yield place
        finally:
            place.release()
            self._held -= 1
            self._gauge.set(self._held)

    def pixels(self, count: int) -> AbstractContextManager[None]:
        """Hold room for an image of so many pixels while in the context; waits for it."""
        return self._pixels.claim(count * BYTES_PER_PIXEL, self._timeout_s)

    async def work(self, task: Callable[[], Answer]) -> Answer:
        """Run a CPU-bound task on a worker thread and wait for it."""
        started = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, task)
        finally:
            took = time.monotonic() - started
            self._seconds += 0.1 * (took - self._seconds)

    def close(self) -> None:
        """Finish what was begun, then stop the threads."""
        self._pool.shutdown(wait=True)
