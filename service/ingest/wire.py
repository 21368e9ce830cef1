"""What the owner of the device and an ingest process say to each other, and how.

Messages go over a Unix socket; tiles beside them, in an anonymous file that the ingest process
lends for each request. The owner writes the maps over the tiles: both are float32, of the same
shapes.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.errors import MammosegError
from service.imaging.tiles import Shape
from service.inference.net import Served
from service.settings import Settings

Step = Literal["leave", "exit"]
"""How an ingest process ends: it is no longer ready first, then it finishes what it has."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The owner's first word: how to serve, and what."""

    settings: Settings
    served: Served


@dataclass(frozen=True, slots=True)
class Ready:
    """The process's first word: it takes callers."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Take the connection that follows."""


@dataclass(frozen=True, slots=True)
class End:
    """The owner's last words, a step each."""

    step: Step


@dataclass(frozen=True, slots=True)
class Run:
    """Run the tiles of these shapes, which lie one after another in the file that follows."""

    number: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """Nobody waits for this run any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Ask:
    """How does the net do?"""

    number: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The run is done: its maps lie where its tiles did."""

    number: int
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The run came to nothing; None for an error that is none of ours, whose text stays there."""

    number: int
    error: MammosegError | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How the net does."""

    number: int
    waiting: int
    net_seconds: float


class Channel:
    """One end of the socket; several threads may send, one receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._pipe = Connection(os.dup(end.fileno()))
        self._sending = threading.Lock()

    def send(self, message: Any, file: int | None = None) -> None:
        """Send a message, and the file that belongs to it.

        Raises
        ------
        OSError
            The other end is gone.
        """
        with self._sending:
            self._pipe.send(message)
            if file is not None:
                # The process is asked for on Windows alone.
                send_handle(self._pipe, file, 0)

    def receive(self) -> Any:
        """Wait for a message.

        Raises
        ------
        EOFError, OSError
            The other end is gone.
        """
        return self._pipe.recv()

    def receive_file(self) -> int:
        """Give the descriptor of the file that belongs to the message just received."""
        return recv_handle(self._pipe)

    def close(self) -> None:
        """End the conversation; whoever waits for a message, here or there, is woken."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


def size_of(shapes: Sequence[Shape]) -> int:
    """Give the bytes that tiles of these shapes take."""
    return sum(map(prod, shapes)) * np.dtype(np.float32).itemsize


def tiles_in(memory: Any, shapes: Sequence[Shape]) -> list[NDArray[np.float32]]:
    """Show memory as tiles of these shapes, one after another, without a copy."""
    values = np.frombuffer(memory, np.float32, sum(map(prod, shapes)))
    ends = np.cumsum([prod(shape) for shape in shapes])
    return [
        values[end - prod(shape) : end].reshape(shape)
        for shape, end in zip(shapes, ends, strict=True)
    ]
