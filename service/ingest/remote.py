"""A net that another process owns."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.errors import DeviceFailed, MammosegError
from service.imaging.tiles import Tile
from service.inference.net import Served, TileAnswer
from service.ingest.wire import (
    Answered,
    Ask,
    Caller,
    Channel,
    Counts,
    End,
    Leave,
    Refused,
    Run,
    size_of,
    tiles_in,
)
from service.patience import Patience
from service.slabs import Slab, Slabs

KEPT_BYTES = 16 * 2**20
"""Of memory for tiles and maps, kept for the next ones: some ten tiles."""

ANSWER_TIMEOUT_S = 5.0
"""Longest wait for the owner's counts; they are for metrics alone."""


class RunFailed(Exception):
    """A run failed there, of an error that is none of ours."""


@dataclass(slots=True, eq=False)
class _Errand:
    """What was asked for; its slab is nobody else's until the owner has replied."""

    slab: Slab | None = None
    settled: threading.Condition = field(default_factory=threading.Condition)
    reply: Answered | Refused | Counts | None = None

    def settle(self, reply: Answered | Refused | Counts) -> None:
        with self.settled:
            self.reply = reply
            self.settled.notify_all()

    def wait(self, patience: Patience) -> Any:
        """Wait for the reply, and raise what it says went wrong."""
        with self.settled:
            patience.wait_for(self.settled, lambda: self.reply is not None)
        if isinstance(self.reply, Refused):
            raise self.reply.error or RunFailed
        return self.reply


class RemoteNet:
    """Sends tiles to the owner of the device, as a `Net`.

    Nothing is answered before somebody listens. When the owner is gone, so is the device, for this
    process: `failed`.

    Parameters
    ----------
    channel
        To the owner; it is this object's from now on.
    served
        What the owner said that it serves.
    """

    def __init__(self, channel: Channel, served: Served) -> None:
        self.served = served
        self._channel = channel
        self._numbers = itertools.count()
        self._slabs = Slabs(KEPT_BYTES)
        self._lock = threading.Lock()
        self._errands: dict[int, _Errand] = {}
        self._closed = self._failed = False

    @property
    def failed(self) -> bool:
        """The device, or its owner, is lost."""
        return self._failed

    @property
    def waiting(self) -> int:
        """Tiles that have not begun, of all processes."""
        return self._counts().waiting

    @property
    def net_seconds(self) -> float:
        """CPU time inside the net since the start, in seconds."""
        return self._counts().net_seconds

    def run(self, tiles: Sequence[Tile], patience: Patience) -> list[TileAnswer]:
        """Have the tiles of one image run, and wait for all answers, in the same order.

        Raises
        ------
        MammosegError
            As of `Net`; `DeviceFailed` when the owner is gone as well.
        RunFailed
            It failed there, and nobody knows why.
        """
        if not tiles:
            return []
        shapes = [(tile.pixels.shape[0], tile.pixels.shape[1]) for tile in tiles]
        slab = self._slabs.take(size_of(shapes))
        for place, tile in zip(tiles_in(slab.memory, shapes), tiles, strict=True):
            np.copyto(place, tile.pixels)
        number, errand = next(self._numbers), _Errand(slab)
        self._send(Run(number, tuple(shapes)), errand)
        try:
            answered: Answered = errand.wait(patience)
        except MammosegError:
            if errand.reply is None:
                self._tell(Leave(number))
            raise
        maps = tiles_in(self._slabs.lend_bytes(slab, size_of(shapes)), shapes)
        return [
            TileAnswer(probability, logit)
            for probability, logit in zip(maps, answered.logits, strict=True)
        ]

    def listen(self, told: Callable[[Caller | End], None]) -> None:
        """Hear the owner until it is gone, or this object is closed.

        Parameters
        ----------
        told
            Called with what is not about the net.
        """
        try:
            while True:
                message = self._channel.receive()
                if isinstance(message, Caller | End):
                    told(message)
                    continue
                if isinstance(message, Refused) and isinstance(message.error, DeviceFailed):
                    self._fail()
                errand = self._errands.pop(message.number, None)
                if errand is not None:
                    errand.settle(message)
        except Exception:
            # The owner is gone, or cannot be understood any more.
            if not self._closed:
                self._fail()

    def close(self) -> None:
        """Take leave of the owner."""
        self._closed = True
        self._channel.close()

    def _counts(self) -> Counts:
        number, errand = next(self._numbers), _Errand()
        try:
            self._send(Ask(number), errand)
            counts: Counts = errand.wait(Patience(ANSWER_TIMEOUT_S))
        except MammosegError:
            return Counts(number, 0, 0.0)
        return counts

    def _send(self, message: Run | Ask, errand: _Errand) -> None:
        with self._lock:
            if self._failed:
                raise DeviceFailed
            self._errands[message.number] = errand
        self._tell(message, None if errand.slab is None else errand.slab.file)

    def _tell(self, message: Run | Ask | Leave, file: int | None = None) -> None:
        try:
            self._channel.send(message, file)
        except OSError:
            self._fail()

    def _fail(self) -> None:
        """Latch: whoever waits is told, and nobody is taken any more."""
        with self._lock:
            self._failed = True
            left, self._errands = self._errands, {}
        for number, errand in left.items():
            errand.settle(Refused(number, DeviceFailed()))
