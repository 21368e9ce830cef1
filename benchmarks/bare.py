"""The net alone: what everything else is held against."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from service.imaging.tiles import Tile
from service.inference.session import Session
from service.system.cores import available_cores


class Bare:
    """The best that plain `session.run` gives: one thread a core, or one run on all cores.

    Attributes
    ----------
    way
        Which of the two it was.
    """

    def __init__(self, model: Path, tiles: list[Tile]) -> None:
        cores = available_cores()
        self._tiles = [np.ascontiguousarray(tile.pixels[None, None]) for tile in tiles]
        self._narrow = Session.open(model, threads=1)
        self._wide = Session.open(model, threads=cores)
        self._pool = ThreadPoolExecutor(cores)
        ways = {"a run a core": self._abreast, "a run on all cores": self._in_turn}
        for run in ways.values():
            run(1)
        took = {name: _seconds(run) for name, run in ways.items()}
        self.way = min(took, key=lambda name: took[name])
        self._best = ways[self.way]

    def rate(self, mammograms: int) -> float:
        """Return mammograms a second, of these tiles each."""
        started = time.perf_counter()
        self._best(mammograms)
        return mammograms / (time.perf_counter() - started)

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown()

    def _abreast(self, mammograms: int) -> None:
        list(self._pool.map(self._narrow.run, self._tiles * mammograms))

    def _in_turn(self, mammograms: int) -> None:
        for tile in self._tiles * mammograms:
            self._wide.run(tile)


def _seconds(run: Callable[[int], None]) -> float:
    started = time.perf_counter()
    run(4)
    return time.perf_counter() - started
