"""Whose tile comes next: callers take turns, one tile each, so that none waits behind a crowd."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition

import numpy as np
from numpy.typing import NDArray

from service.inference.net import TileAnswer


@dataclass(slots=True, eq=False)
class Errand:
    """The tiles of one caller, and what has come of them.

    Attributes
    ----------
    tiles
        float32, all of one shape; at least one.
    settled
        Notified once all are answered, or one failed.
    begun
        How many were handed out; they go in order.
    """

    tiles: Sequence[NDArray[np.float32]]
    settled: Condition
    begun: int = 0
    fault: Exception | None = None
    answers: dict[int, TileAnswer] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Nothing more will come."""
        return self.fault is not None or len(self.answers) == len(self.tiles)


Turn = tuple[Errand, int]
"""A caller and the index of one of its tiles."""


class Turns:
    """The tiles that wait, caller by caller. Not for several threads at once."""

    def __init__(self) -> None:
        self._ring: deque[Errand] = deque()
        self.waiting = 0

    def add(self, errand: Errand) -> None:
        """Let a caller join, behind the others."""
        self._ring.append(errand)
        self.waiting += len(errand.tiles)

    def drop(self, errand: Errand) -> None:
        """Forget what a caller still waits for; those that were handed out go on."""
        if errand.begun < len(errand.tiles):
            self._ring.remove(errand)
            self.waiting -= len(errand.tiles) - errand.begun
            errand.begun = len(errand.tiles)

    def drop_all(self) -> list[Errand]:
        """Forget everything, and give those that wait."""
        errands = list(self._ring)
        for errand in errands:
            self.drop(errand)
        return errands

    def take(self, most: int) -> list[Turn]:
        """Hand out up to `most` tiles of one shape, that of whoever's turn it is."""
        taken: list[Turn] = []
        others: list[Errand] = []
        while self._ring and len(taken) < most:
            errand = self._ring.popleft()
            if taken and errand.tiles[0].shape != taken[0][0].tiles[0].shape:
                others.append(errand)
                continue
            taken.append((errand, errand.begun))
            errand.begun += 1
            if errand.begun < len(errand.tiles):
                self._ring.append(errand)
        self._ring.extendleft(reversed(others))
        self.waiting -= len(taken)
        return taken
