"""A net that tests can watch, hold and break, behind a scheduler of tiles."""

import threading
import time
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from service.imaging.tiles import Tile
from service.inference.scheduler import TileScheduler
from service.inference.session import Session, TileOutputs
from tests.identity_net import TILE


def tiles_of(*values: float) -> list[Tile]:
    return [Tile(0, 0, np.full((TILE, TILE), value, np.float32)) for value in values]


class Recorder:
    """A session that remembers what it runs, and can wait or fail."""

    def __init__(self, session: Session, device: str) -> None:
        self.contract = session.contract
        self.device = device
        self.whole_pixels = session.whole_pixels
        self.runs: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.fault: Exception | None = None
        self.once = False
        self.threads: list[int] = []
        self._session = session

    @property
    def batches(self) -> list[int]:
        return [len(values) for values in self.runs]

    def run(self, tiles: NDArray[np.float32]) -> TileOutputs:
        self.begun.set()
        self.gate.wait()
        self.runs.append([round(float(tile.max()), 2) for tile in tiles])
        self.threads.append(threading.get_ident())
        if fault := self.fault:
            self.fault = None if self.once else fault
            raise fault
        return self._session.run(tiles)

    def close(self) -> None:
        """Do nothing: the session is shared by those that watch it."""

    def input_buffer(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        # As a GPU's buffer, it holds what was there before.
        return np.full(shape, 0.77, np.float32)

    def hold(self) -> None:
        self.runs.clear()
        self.begun.clear()
        self.gate.clear()


def recorded(session: Session, device: str, **given: Any) -> tuple[Recorder, TileScheduler]:
    recorder = Recorder(session, device)
    return recorder, TileScheduler(cast(Any, recorder), **given)


def until(waiting: int, scheduler: TileScheduler) -> None:
    while scheduler.waiting != waiting:
        time.sleep(0.001)
