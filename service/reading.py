"""Reading an image in a process that may be killed: a hostile file costs one request, no more.

Decoders are C code that follows what a file says. Each read happens in one of a few worker
processes with a bound on memory (RLIMIT_AS) and a deadline; one that dies or dawdles is replaced.
"""

import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any, Protocol, TypeVar

import numpy as np
import structlog

from service.buffer_pool import BufferPool
from service.cancellation import CancelToken
from service.errors import DeviceError, MammosegError, Overloaded, UnreadableImage, UnsuitableImage
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ImageKind, ReadLimits, read_image
from service.imaging.source_header import Head, look
from service.imaging.wanted_resolution import WantedResolution
from service.read_worker import READY, WRITTEN, Delivery, Look, Order, mapped
from service.watchdog import Watchdog, Watched

log = structlog.get_logger("mammoseg")

Answer = TypeVar("Answer")

START_TIMEOUT_S = 60.0

LENT_BYTES = 128 * 2**20
"""Of memory for bodies and pixels, unless somebody says otherwise: a mammogram or two a worker."""


class Reader(Protocol):
    """Bytes -> Mammogram, however it is done."""

    @property
    def buffers(self) -> BufferPool:
        """Where a body is best received: lent from here, it is read without a copy."""

    def read(
        self,
        body: bytes | memoryview,
        kind: ImageKind | None,
        frame: int | None = None,
        token: CancelToken | None = None,
        resolution: WantedResolution | None = None,
    ) -> Mammogram:
        """Read one file; raises a `MammosegError` with a 4xx status for whatever is wrong."""

    def look(self, body: bytes | memoryview, token: CancelToken | None = None) -> Head:
        """Look at the header of a DICOM file; raises as `read`."""

    def look_at_file(self, file: int, size: int) -> Head:
        """Look at the header of a DICOM file on the disk, by its descriptor; raises as `read`."""

    def close(self) -> None:
        """Let go of what reading needs."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Reads right here, by careful decoders alone: for evaluation, where files are one's own."""

    limits: ReadLimits
    buffers: BufferPool = field(default_factory=lambda: BufferPool(0))

    def read(
        self,
        body: bytes | memoryview,
        kind: ImageKind | None,
        frame: int | None = None,
        token: CancelToken | None = None,
        resolution: WantedResolution | None = None,
    ) -> Mammogram:
        """Read one file."""
        return read_image(body, kind, self.limits, frame, resolution=resolution)

    def look(self, body: bytes | memoryview, token: CancelToken | None = None) -> Head:
        """Look at the header of a DICOM file."""
        return look(body)

    def look_at_file(self, file: int, size: int) -> Head:
        """Look at the header of a DICOM file on the disk."""
        return look(mapped(os.dup(file), 0, size))

    def close(self) -> None:
        """Nothing to let go of."""


class Workers:
    """Reads in worker processes; `read` may be called from several threads at once.

    Parameters
    ----------
    count
        Worker processes; each reads one file at a time.
    limits
        What an image may cost.
    memory_mib
        Address space that a worker may take beyond what it has when it starts, in MiB.
    deadline_s
        Longest time for one file, in seconds.
    lent_bytes
        Memory for bodies and pixels that is used again and again.

    Raises
    ------
    DeviceError
        The workers do not start on this machine.
    """

    def __init__(
        self,
        *,
        count: int,
        limits: ReadLimits,
        memory_mib: int,
        deadline_s: float,
        lent_bytes: int = LENT_BYTES,
    ) -> None:
        self._limits, self._memory_mib, self._deadline_s = limits, memory_mib, deadline_s
        self._changed = threading.Condition()
        self._closed = False
        self._count = count
        self.buffers = BufferPool(lent_bytes)
        self._workers: set[_Worker] = set()
        self._idle = deque(self._start() for _ in range(count))
        self._watchdog = Watchdog(self._watched, "reader")
        if not all(worker.is_ready(START_TIMEOUT_S) for worker in list(self._idle)):
            self.close()
            raise DeviceError("the processes that read images do not start here")

    def read(
        self,
        body: bytes | memoryview,
        kind: ImageKind | None,
        frame: int | None = None,
        token: CancelToken | None = None,
        resolution: WantedResolution | None = None,
    ) -> Mammogram:
        """Read one file; where it lies, if it lies in memory lent from `buffers`.

        Raises
        ------
        MammosegError
            What the reader says of the file; 422 `decode-limit` when it took too long, and 400
            `decode-failed` when two workers died of it or answered what is no answer; 503
            `no-reader` when a worker was stopped or none can be started. While all workers read:
            504 `deadline`, or what `CancelToken` says of a caller that leaves.
        """

        def begin() -> Task[Mammogram]:
            at = self.buffers.extent(body)
            order = Order(at.start, len(at.data), kind, self._limits, frame, resolution, False)
            return lambda worker, sandboxed, ends: worker.read(
                at.file, replace(order, sandboxed=sandboxed), ends, self.buffers
            )

        return self._on_a_worker(begin, token)

    def look(self, body: bytes | memoryview, token: CancelToken | None = None) -> Head:
        """Look at the header of a DICOM file; raises as `read`."""

        def begin() -> Task[Head]:
            at = self.buffers.extent(body)
            order = Look(at.start, len(at.data))
            return lambda worker, _, ends: worker.look(at.file, order, ends)

        return self._on_a_worker(begin, token)

    def look_at_file(self, file: int, size: int) -> Head:
        """Look at the header of a DICOM file on the disk, by its descriptor; raises as `read`."""
        order = Look(0, size)
        return self._on_a_worker(lambda: lambda worker, _, ends: worker.look(file, order, ends))

    def _on_a_worker(
        self, begin: "Callable[[], Task[Answer]]", token: CancelToken | None = None
    ) -> "Answer":
        """Have a worker do something; `begin` is called once there is one."""
        with self._changed:
            (token or CancelToken()).wait_for(
                self._changed, lambda: self._closed or bool(self._idle)
            )
            if self._closed:
                raise Overloaded("draining", "The service is shutting down.")
            worker = self._idle.popleft()
        try:
            if worker.is_stopped or not worker.is_ready(START_TIMEOUT_S):
                worker = self._replace(worker)
                if not worker.is_ready(START_TIMEOUT_S):
                    raise _no_reader()
            ends = time.monotonic() + self._deadline_s
            task = begin()
            was_stopped = False
            # A worker may be killed from outside, too: a file is to blame when two died of it, the
            # second with the careful decoders.
            for sandboxed in (True, False):
                if not sandboxed and not worker.is_ready(ends - time.monotonic()):
                    break
                worker.ends = ends
                try:
                    return task(worker, sandboxed, ends)
                except MammosegError:
                    raise
                except BaseException as error:
                    # What comes next from its pipe is anything.
                    was_stopped = was_stopped or worker.is_stopped
                    log.warning("reader-lost", error=type(error).__name__, stopped=was_stopped)
                    worker = self._replace(worker)
                    if not isinstance(error, Exception):
                        raise
                    late = isinstance(error, TimeoutError) or time.monotonic() >= ends
                    if late and not was_stopped:
                        raise _too_long() from None
            if was_stopped:
                raise _no_reader()
            raise UnreadableImage("decode-failed", "The image cannot be decoded.")
        finally:
            worker.ends = math.inf
            with self._changed:
                self._idle.append(worker)
                self._changed.notify_all()

    def close(self) -> None:
        """Stop the workers, each after the file it is reading."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._idle) == self._count)
            for worker in self._idle:
                worker.kill()
            self._idle.clear()
            self._workers.clear()
            self._count = 0
        self._watchdog.close()

    def _watched(self) -> "tuple[_Worker, ...]":
        with self._changed:
            return tuple(self._workers)

    def _replace(self, worker: "_Worker") -> "_Worker":
        """End a worker and start another, without waiting for it."""
        with self._changed:
            self._workers.discard(worker)
        worker.kill()
        try:
            return self._start()
        except OSError:
            raise _no_reader() from None

    def _start(self) -> "_Worker":
        worker = _start(self._memory_mib)
        with self._changed:
            self._workers.add(worker)
        return worker


Task = Callable[["_Worker", bool, float], Answer]
"""Done by a worker, which may be sandboxed, until a monotonic time."""


class NoAnswer(Exception):
    """What a worker said is neither what it was asked for nor a refusal."""


def _is_allowed(shape: tuple[int, int], limits: ReadLimits) -> bool:
    return min(shape) > 0 and math.prod(shape) <= limits.max_pixels


def _no_reader() -> Overloaded:
    return Overloaded("no-reader", "There is no process to read the image now.")


def _too_long() -> UnsuitableImage:
    return UnsuitableImage("decode-limit", "The image takes too long to read.")


@dataclass(slots=True, eq=False)
class _Worker(Watched):
    pipe: Connection
    greeted: bool = False

    def is_ready(self, timeout_s: float) -> bool:
        """Wait for the greeting of a new worker; false for one that is dead or says another."""
        self.ends = time.monotonic() + max(0.0, timeout_s)
        try:
            if not self.greeted and self.pipe.poll(max(0.0, timeout_s)):
                self.greeted = self.pipe.recv() == READY
        except Exception:
            return False
        finally:
            self.ends = math.inf
        return self.greeted and self.process.poll() is None

    def read(self, body: int, order: Order, ends: float, buffers: BufferPool) -> Mammogram:
        """Have a part of the file `body` read.

        Raises
        ------
        TimeoutError
            That is not done by `ends`, a monotonic time.
        NoAnswer
            The worker says something else.
        Exception
            Of whatever kind, when what it says cannot be read at all.
        """
        self.pipe.send(order)
        send_handle(self.pipe, body, self.process.pid)
        answer = self._answer(ends, Delivery)
        rows, columns = map(int, answer.shape)
        shape = (rows, columns)
        if type(answer.mammogram) is not Mammogram or not _is_allowed(shape, order.limits):
            raise NoAnswer
        buffer = buffers.take(math.prod(shape) * np.uint16().itemsize)
        send_handle(self.pipe, buffer.file, self.process.pid)
        if self._answer(ends, str) != WRITTEN:
            raise NoAnswer
        return replace(answer.mammogram, pixels=buffers.lend(buffer, shape))

    def look(self, body: int, order: Look, ends: float) -> Head:
        """Have the header of a part of the file `body` looked at; raises as `read`."""
        self.pipe.send(order)
        send_handle(self.pipe, body, self.process.pid)
        return self._answer(ends, Head)

    def _answer(self, ends: float, kind: "type[Answer]") -> "Answer":
        """Return the next message, or raise the refusal that it is; anything else is no answer."""
        if not self.pipe.poll(max(0.0, ends - time.monotonic())):
            raise TimeoutError
        message: Any = self.pipe.recv()
        if isinstance(message, MammosegError) and 400 <= message.status < 500:
            raise message
        if not isinstance(message, kind):
            raise NoAnswer
        return message

    def kill(self) -> None:
        """End it; one that was ended already stays so."""
        self.process.kill()
        self.process.wait()
        if not self.pipe.closed:
            self.pipe.close()


def _start(memory_mib: int) -> _Worker:
    ours, theirs = socket.socketpair()
    try:
        # Isolated from the caller's folder and environment: what is imported is what is installed.
        command = [sys.executable, "-I", "-m", "service.read_worker", str(theirs.fileno())]
        process = subprocess.Popen([*command, str(memory_mib)], pass_fds=[theirs.fileno()])
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Worker(process, Connection(ours.detach()))
