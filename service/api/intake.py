"""How many mammograms are held at once, and the threads that work on them off the event loop."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.errors import Overloaded
from service.metrics import Metrics

Answer = TypeVar("Answer")


class Intake:
    """A bounded number of places; a request takes one before its body is read.

    Parameters
    ----------
    places
        Mammograms held at once.
    workers
        Threads that decode, wait for the net, and encode. More than the cores, since a thread
        that waits for the net leaves its core to a decoder.
    metrics
        Where the number in flight is shown.
    """

    def __init__(self, *, places: int, workers: int, metrics: Metrics) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="mammogram")
        self._places = places
        self._workers = workers
        self._held = 0
        self._seconds = 1.0
        self._gauge = metrics.in_flight
        self.draining = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while in the context.

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
        try:
            yield
        finally:
            self._held -= 1
            self._gauge.set(self._held)

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
