"""Tiles of many requests -> runs of the net.

The unit of work is a tile. On a CPU one runner a core takes one tile at a time: batching hurts
there. On a GPU a single owner takes what waits, up to the largest of a few fixed batch sizes, so
that no shape is ever new to the device.
"""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, Overloaded
from service.imaging.tiles import Tile
from service.inference.session import Session

BATCH_SIZES = {"cpu": (1,), "cuda": (1, 2, 4, 8, 16)}
"""The only batch sizes ever run, by device; all are warmed before the first request."""


@dataclass(frozen=True, slots=True, eq=False)
class TileAnswer:
    """What the net says of one tile.

    Attributes
    ----------
    probability
        float32 in [0, 1], of the tile's shape.
    has_mask_logit
        The tile's has-mask logit.
    """

    probability: NDArray[np.float32]
    has_mask_logit: float


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    pixels: NDArray[np.float32]
    answer: Future[TileAnswer]


class TileScheduler:
    """Owns the session: nobody else runs it.

    Parameters
    ----------
    session
        An open model; every batch size is run once here, so construction takes a moment.
    runners
        Threads that run the net; 1 on a GPU.
    """

    def __init__(self, session: Session, *, runners: int = 1) -> None:
        self.session = session
        self._sizes = BATCH_SIZES[session.device]
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._warm()
        self._runners = [
            threading.Thread(target=self._serve, name=f"tile-runner-{index}", daemon=True)
            for index in range(runners)
        ]
        for runner in self._runners:
            runner.start()

    def run(self, tiles: Sequence[Tile], *, timeout_s: float) -> list[TileAnswer]:
        """Run tiles and wait for all answers, in the same order.

        Raises
        ------
        DeadlineExceeded
            Not all were answered within `timeout_s`; those not yet begun are dropped.
        Overloaded
            The scheduler is closed.
        """
        if self._closed:
            raise Overloaded("draining", "The service is shutting down.")
        deadline = time.monotonic() + timeout_s
        jobs = [_Job(tile.pixels, Future()) for tile in tiles]
        for job in jobs:
            self._waiting.put(job)
        try:
            return [job.answer.result(max(0.0, deadline - time.monotonic())) for job in jobs]
        except TimeoutError:
            raise DeadlineExceeded("deadline", "The net did not answer in time.") from None
        finally:
            for job in jobs:
                job.answer.cancel()

    def close(self) -> None:
        """Answer what waits, then stop the runners."""
        self._closed = True
        for _ in self._runners:
            self._waiting.put(None)
        for runner in self._runners:
            runner.join()

    def _warm(self) -> None:
        for shape in self.session.contract.tiling.shapes:
            for batch in self._sizes:
                self.session.run(np.zeros((batch, 1, *shape), np.float32))

    def _serve(self) -> None:
        while (job := self._waiting.get()) is not None:
            jobs = [job]
            last = self._gather(jobs)
            wanted = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            for shape in {job.pixels.shape for job in wanted}:
                self._answer([job for job in wanted if job.pixels.shape == shape])
            if last:
                return

    def _gather(self, jobs: list[_Job]) -> bool:
        """Add what waits already, up to the largest batch; true when the end was among it."""
        while len(jobs) < self._sizes[-1]:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            jobs.append(job)
        return False

    def _answer(self, jobs: list[_Job]) -> None:
        batch = next(size for size in self._sizes if size >= len(jobs))
        tiles = np.zeros((batch, 1, *jobs[0].pixels.shape), np.float32)
        for index, job in enumerate(jobs):
            tiles[index, 0] = job.pixels
        try:
            outputs = self.session.run(tiles)
        except Exception as error:
            for job in jobs:
                job.answer.set_exception(error)
            return
        for index, job in enumerate(jobs):
            logit = float(outputs.has_mask[index])
            job.answer.set_result(TileAnswer(outputs.probability[index], logit))
