"""Whose tile comes next: callers take turns, one tile each, so that none waits behind a crowd."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition

import numpy as np
from numpy.typing import NDArray

from service.inference.net import TilePrediction


@dataclass(slots=True, eq=False)
class TileJob:
    """The tiles of one caller, and what has come of them.

    Attributes
    ----------
    tiles
        float32, all of one shape; at least one.
    settled
        Notified once all are answered, or one failed.
    begun
        How many were handed out; they go in order.
    since
        When it came, by the monotonic clock.
    """

    tiles: Sequence[NDArray[np.float32]]
    settled: Condition
    begun: int = 0
    fault: Exception | None = None
    predictions: dict[int, TilePrediction] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> bool:
        """Whether the caller need not wait any more: every tile is answered, or one failed."""
        return self.fault is not None or len(self.predictions) == len(self.tiles)


QueuedTile = tuple[TileJob, int]
"""A caller and the index of one of its tiles."""


class FairQueue:
    """The tiles that wait, caller by caller. Not for several threads at once."""

    def __init__(self) -> None:
        self._ring: deque[TileJob] = deque()
        self.waiting = 0

    def add(self, job: TileJob) -> None:
        """Let a caller join, behind the others."""
        self._ring.append(job)
        self.waiting += len(job.tiles)

    def drop(self, job: TileJob) -> None:
        """Forget what a caller still waits for; those that were handed out go on."""
        if job.begun < len(job.tiles):
            self._ring.remove(job)
            self.waiting -= len(job.tiles) - job.begun
            job.begun = len(job.tiles)

    def drop_all(self) -> list[TileJob]:
        """Empty the queue, and return the jobs that were in it."""
        jobs = list(self._ring)
        for job in jobs:
            self.drop(job)
        return jobs

    def take(self, most: int) -> list[QueuedTile]:
        """Hand out up to `most` tiles of one shape: that of the caller whose turn it is."""
        taken: list[QueuedTile] = []
        others: list[TileJob] = []
        while self._ring and len(taken) < most:
            job = self._ring.popleft()
            if taken and job.tiles[0].shape != taken[0][0].tiles[0].shape:
                others.append(job)
                continue
            taken.append((job, job.begun))
            job.begun += 1
            if job.begun < len(job.tiles):
                self._ring.append(job)
        self._ring.extendleft(reversed(others))
        self.waiting -= len(taken)
        return taken
