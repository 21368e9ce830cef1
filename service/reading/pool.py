"""Reading an image in a process that may be killed: a hostile file costs one request, no more.

Decoders are C code that follows what a file says. Each read happens in one of a few processes with
a bound on memory (RLIMIT_AS) and a deadline; one that dies, dawdles or lies is replaced.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Self, TypeVar

import structlog

from service.buffer_pool import BufferPool, FilledBuffer
from service.cancellation import CancelToken
from service.errors import (
    DeviceError,
    MammosegError,
    Overloaded,
    UnreadableImage,
    UnsuitableImage,
)
from service.imaging.mammogram import Mammogram
from service.imaging.source_header import Head
from service.reading import sandbox
from service.reading.options import ReaderOptions
from service.reading.process import COMMAND, GREETING_S, ReaderProcess, start_reader
from service.reading.reader import ReadRequest
from service.reading.shared_buffer import can_seal
from service.system.watchdog import Watchdog

log = structlog.get_logger("mammoseg")

Answer = TypeVar("Answer")

Task = Callable[[ReaderProcess, bool, float], Answer]
"""Done by a reader, which may be lost to it or not, until a monotonic time."""


class ReaderPool:
    """Reads in processes; may be called from several threads at once.

    Parameters
    ----------
    options
        How many there are, and what each may take.
    command
        What is run in each.

    They are started, and load their decoders while the caller does other things:
    `wait_until_ready` says whether they came up.
    """

    def __init__(self, options: ReaderOptions, command: Sequence[str] = COMMAND) -> None:
        self._options, self._command = options, command
        self._deadline_s = options.deadline_s
        self._limits = options.limits
        if self._limits.memory_bytes is not None:
            # What is shared lies in the reader's address space as well.
            left = self._limits.memory_bytes - options.shared_bytes
            self._limits = replace(self._limits, memory_bytes=left)
        self._changed = threading.Condition()
        self._closed = False
        self._waiting = 0
        self.buffers = BufferPool(options.body_bytes)
        self._pixels = BufferPool(options.pixel_bytes, FilledBuffer)
        self._service = sandbox.close_service()
        self._readers: set[ReaderProcess] = set()
        # Readers end with the thread that starts them: see `sandbox`.
        self._starter = ThreadPoolExecutor(1, "start-reader")
        self._idle = deque(self._start() for _ in range(options.count))
        self._count = options.count
        self._watchdog = Watchdog(self._watched, "reader")
        # At once: a model may take longer to open than readers are given to greet.
        self._all_greet = self._starter.submit(self._greetings)

    def wait_until_ready(self) -> Self:
        """Wait until all can read; to be called before the first file. Returns the pool.

        Raises
        ------
        DeviceError
            The readers do not start on this machine; the pool is closed.
        """
        if not self._all_greet.result():
            self.close()
            raise DeviceError("the processes that read images do not start here")
        missing = {name: sandbox.missing(parts) for name, parts in self.sandbox().items()}
        if any(missing.values()):
            log.warning("reader-sandbox", missing=missing)
        return self

    def _greetings(self) -> bool:
        until = time.monotonic() + GREETING_S
        return all(reader.is_ready(until) for reader in list(self._idle))

    def sandbox(self) -> dict[str, dict[str, str]]:
        """Return what keeps code in a reader from the service: of the readers, and of both."""
        with self._changed:
            said = [reader.sandbox for reader in self._readers if reader.sandbox is not None]
        sealed = sandbox.ON if can_seal() else "off: only Linux has it"
        return {
            "service": {**self._service, "sealed-memory": sealed},
            "readers": said[0] if said else {},
        }

    @property
    def waiting(self) -> int:
        """How many files no reader has taken yet."""
        return self._waiting

    def read(self, request: ReadRequest, token: CancelToken | None = None) -> Mammogram:
        """Read one file.

        Raises
        ------
        MammosegError
            What the reader says of the file; 422 `decode-limit` when it took too long, and 400
            `decode-failed` when two readers died of it or answered what is no answer; 503
            `no-reader` when a reader was stopped or none can be started. While all of them read:
            504 `deadline`, or what `CancelToken` says of a caller that leaves.
        """
        return self._in_a_reader(
            lambda reader, sandboxed, until: reader.read(
                request, self._limits, sandboxed=sandboxed, until=until, pixels=self._pixels
            ),
            token,
        )

    def look(self, body: bytes | memoryview, token: CancelToken | None = None) -> Head:
        """Look at the header of a DICOM file; raises as `read`."""
        return self._in_a_reader(lambda reader, _, until: reader.look(body, until), token)

    def look_at_file(self, file: int, size: int) -> Head:
        """Look at the header of a DICOM file on the disk, by its descriptor; raises as `read`.

        The descriptor is opened to be read only.
        """
        return self._in_a_reader(lambda reader, _, until: reader.look_at_file(file, size, until))

    def close(self) -> None:
        """Stop the readers, each after the file it is reading."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._idle) == self._count)
            for reader in self._idle:
                reader.kill()
            self._idle.clear()
            self._readers.clear()
            self._count = 0
        self._watchdog.close()
        self._starter.shutdown()

    def _in_a_reader(self, task: Task[Answer], token: CancelToken | None = None) -> Answer:
        """Have a reader do something once one is idle."""
        # Two threads that take what a reader says would each get a part.
        self._all_greet.result()
        with self._changed:
            self._waiting += 1
            try:
                (token or CancelToken()).wait_for(
                    self._changed, lambda: self._closed or bool(self._idle)
                )
            finally:
                self._waiting -= 1
            if self._closed:
                raise Overloaded("draining", "The service is shutting down.")
            reader = self._idle.popleft()
        attempts = _Attempts(self, reader)
        try:
            return attempts.run(task, self._deadline_s)
        finally:
            attempts.reader.ends = math.inf
            with self._changed:
                self._idle.append(attempts.reader)
                self._changed.notify_all()

    def _watched(self) -> tuple[ReaderProcess, ...]:
        with self._changed:
            return tuple(self._readers)

    def replaced(self, reader: ReaderProcess) -> ReaderProcess:
        """End a reader and return another, without waiting for it.

        Raises
        ------
        Overloaded
            None can be started.
        """
        with self._changed:
            self._readers.discard(reader)
        reader.kill()
        try:
            return self._start()
        except OSError:
            raise _no_reader() from None

    def _start(self) -> ReaderProcess:
        options = self._options
        reader = self._starter.submit(
            start_reader, self._command, options.memory_mib, options.shared_bytes
        ).result()
        with self._changed:
            self._readers.add(reader)
        return reader


class _Attempts:
    """Two attempts at one file; `reader` is the one that is left after them.

    A reader may be killed from outside, too: a file is to blame when two died of it, the second
    with the careful decoders.
    """

    def __init__(self, pool: ReaderPool, reader: ReaderProcess) -> None:
        self._pool, self.reader = pool, reader
        self._was_stopped = False

    def run(self, task: Task[Answer], deadline_s: float) -> Answer:
        """Do something, with one deadline for both attempts; raises as `ReaderPool.read`."""
        if self.reader.is_stopped or not self.reader.is_ready():
            self.reader = self._pool.replaced(self.reader)
            if not self.reader.is_ready():
                raise _no_reader()
        until = time.monotonic() + deadline_s
        for sandboxed in (True, False):
            if not sandboxed and not self.reader.is_ready(until):
                # One reader that died is not enough to blame the file.
                raise _no_reader()
            self.reader.ends = until
            try:
                return task(self.reader, sandboxed, until)
            except MammosegError:
                raise
            except BaseException as error:
                self._replace_after(error)
                if not isinstance(error, Exception):
                    raise
                late = isinstance(error, TimeoutError) or time.monotonic() >= until
                if late and not self._was_stopped:
                    raise _too_long() from None
        if self._was_stopped:
            raise _no_reader()
        raise UnreadableImage("decode-failed", "The image cannot be decoded.")

    def _replace_after(self, error: BaseException) -> None:
        # What comes next from it is anything.
        self._was_stopped = self._was_stopped or self.reader.is_stopped
        log.warning("reader-lost", error=type(error).__name__, stopped=self._was_stopped)
        self.reader = self._pool.replaced(self.reader)


def _no_reader() -> Overloaded:
    return Overloaded("no-reader", "There is no process to read the image now.")


def _too_long() -> UnsuitableImage:
    return UnsuitableImage("decode-limit", "The image takes too long to read.")
