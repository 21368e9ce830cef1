"""The service's side of one reader: what is asked of its process, and what is believed of it."""

import math
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from service.buffer_pool import BufferPool
from service.errors import Overloaded
from service.imaging.limits import ReadLimits
from service.imaging.mammogram import Mammogram
from service.imaging.source_header import Head
from service.reading import sandbox
from service.reading.channel import BadMessage, Channel
from service.reading.messages import (
    Decoded,
    Look,
    LookAtFile,
    Looked,
    MoreMemory,
    Read,
    Ready,
    Refused,
    Request,
    Written,
    decode_reply,
    encode,
)
from service.reading.reader import ReadRequest
from service.reading.shared_buffer import SharedBuffer
from service.system.watchdog import Watched

COMMAND = (sys.executable, "-I", "-m", __name__.replace("process", "worker"))
"""Isolated from the caller's folder and environment: what is imported is what is installed."""

GREETING_S = 60.0
"""Longest time until a new process has loaded its decoders."""

ReplyT = TypeVar("ReplyT", Decoded, Looked, Written)


@dataclass(slots=True, eq=False)
class ReaderProcess(Watched):
    """A process that reads files; for one thread at a time.

    Attributes
    ----------
    channel
        To it.
    shared_bytes
        Memory that is shared with it as long as it lives; more is shared for one file only.
    sandbox
        What it said of its own, once it has greeted; nothing was read by then.
    """

    channel: Channel
    shared_bytes: int
    sandbox: dict[str, str] | None = None
    _buffer: SharedBuffer | None = None
    _is_new: bool = False
    _used: int = 0
    _number: int = 0
    _greeting_until: float = field(default_factory=lambda: time.monotonic() + GREETING_S)

    def is_ready(self, until: float = math.inf) -> bool:
        """Wait for the greeting of a new process; false for one that is dead or says another.

        So is one that says anything unasked.
        """
        if self.sandbox is None:
            self.ends = until = min(until, self._greeting_until)
            try:
                greeting = decode_reply(self.channel.receive(until))
            except (OSError, EOFError, BadMessage):
                return False
            finally:
                self.ends = math.inf
            if isinstance(greeting, Ready):
                self.sandbox = greeting.sandbox
        elif self.channel.has_input:
            return False
        return self.sandbox is not None and self.process.poll() is None

    def read(
        self,
        request: ReadRequest,
        limits: ReadLimits,
        *,
        sandboxed: bool,
        until: float,
        pixels: BufferPool,
    ) -> Mammogram:
        """Have a file read, and take its pixels into memory from `pixels`.

        Raises
        ------
        MammosegError
            What is wrong with the file; or `Overloaded`, where there is no memory.
        TimeoutError
            That is not done by `until`, a monotonic time.
        BadMessage
            The process says something else.
        EOFError, OSError
            It is gone.
        """
        buffer = self._place(request.body)
        asked = Read(
            number=self._next(),
            length=len(request.body),
            shared_bytes=buffer.size,
            kind=request.kind,
            limits=limits,
            frame=request.frame,
            reduction=request.reduction,
            digest=request.digest,
            sandboxed=sandboxed,
        )
        try:
            decoded = self._ask(asked, Decoded, until)
            return self._taken(decoded, limits, until, pixels)
        finally:
            self._let_go_of_more()

    def look(self, body: bytes | memoryview, until: float) -> Head:
        """Have the header of a DICOM file looked at; raises as `read`."""
        buffer = self._place(body)
        try:
            return self._ask(Look(self._next(), len(body), buffer.size), Looked, until).head()
        finally:
            self._let_go_of_more()

    def look_at_file(self, file: int, size: int, until: float) -> Head:
        """Have the header of an opened DICOM file looked at; raises as `read`."""
        return self._ask(LookAtFile(self._next(), size), Looked, until, file).head()

    def kill(self) -> None:
        """End it; one that was ended already stays so."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self._buffer = None

    def _taken(
        self, decoded: Decoded, limits: ReadLimits, until: float, pixels: BufferPool
    ) -> Mammogram:
        """Take the pixels out of the shared memory, so that the process cannot change them."""
        size = decoded.rows * decoded.columns * np.uint16().itemsize
        if decoded.rows * decoded.columns > limits.max_pixels:
            raise BadMessage
        if not decoded.written:
            buffer = self._share(size)
            self._ask(MoreMemory(self._number, buffer.size), Written, until)
        if self._buffer is None or size > self._buffer.size:
            raise BadMessage
        self._used = max(self._used, size)
        try:
            taken = pixels.take(size)
        except OSError:
            raise _no_memory() from None
        np.copyto(taken.part(size), self._buffer.part(size))
        return decoded.mammogram(pixels.lend(taken, (decoded.rows, decoded.columns)))

    def _place(self, body: bytes | memoryview) -> SharedBuffer:
        """Copy a file into the shared memory, and wipe what lay there beyond."""
        length = len(body)
        buffer = self._buffer
        if buffer is None or length > buffer.size:
            buffer = self._share(length)
        if length:
            np.copyto(buffer.part(length), np.frombuffer(body, np.uint8))
        buffer.part(max(length, self._used))[length:] = 0
        self._used = length
        return buffer

    def _share(self, size: int) -> SharedBuffer:
        """Share new memory, whose descriptor goes with the next request."""
        self._buffer = None
        try:
            self._buffer = SharedBuffer(max(size, self.shared_bytes))
        except OSError:
            raise _no_memory() from None
        self._is_new, self._used = True, 0
        return self._buffer

    def _let_go_of_more(self) -> None:
        """Empty what lies beyond the memory shared for good; the process may keep it mapped."""
        if self._buffer is not None and self._buffer.size > self.shared_bytes:
            self._buffer.empty()
            self._buffer = None

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _ask(
        self, request: Request, kind: type[ReplyT], until: float, file: int | None = None
    ) -> ReplyT:
        """Return the answer to a request, or raise the refusal that it is."""
        if self._is_new and self._buffer is not None and not isinstance(request, LookAtFile):
            file, self._is_new = self._buffer.file, False
        self.channel.send(encode(request), file, until)
        reply = decode_reply(self.channel.receive(until))
        if reply.number != request.number:
            raise BadMessage
        if isinstance(reply, Refused):
            raise reply.error()
        if not isinstance(reply, kind):
            raise BadMessage
        return reply


def start_reader(command: Sequence[str], memory_mib: int, shared_bytes: int) -> ReaderProcess:
    """Start a process that reads files, without waiting for it.

    Parameters
    ----------
    command
        What is run; its descriptor and `memory_mib` are appended.
    memory_mib, shared_bytes
        As of `ReaderOptions`.

    Raises
    ------
    OSError
        It cannot be started.
    """
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [*command, str(theirs.fileno()), str(memory_mib)],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=sandbox.environment(memory_mib),
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return ReaderProcess(process, Channel(ours), shared_bytes)


def _no_memory() -> Overloaded:
    return Overloaded("busy", "There is no memory for the image now.")
