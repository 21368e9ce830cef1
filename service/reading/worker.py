"""What runs in a reader: `python -m service.reading.worker FD MIB`, one file after another.

It talks over a Unix socket that it inherits. Bodies and pixels travel beside it, in memory that it
shares with the service.
"""

import contextlib
import os
import resource
import signal
import socket
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from service.reading import lean_pydicom as lean_pydicom

# isort: split
from service.errors import MammosegError
from service.imaging.mammogram import Mammogram
from service.imaging.reader import read_image
from service.imaging.source_header import look
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
    Reply,
    Request,
    WireHeader,
    Written,
    decode_request,
    encode,
)
from service.reading.shared_buffer import map_file, map_shared
from service.system.heap import spare_what_is_loaded


class Worker:
    """Answers requests; shared memory and a mammogram that waits for more of it are kept."""

    def __init__(self) -> None:
        self._shared: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._waiting: Mammogram | None = None

    def answer(self, request: Request, file: int | None) -> Reply:
        """Do what is asked for; `file` is the descriptor that came along.

        Raises
        ------
        BadMessage
            What is asked for does not fit what came.
        """
        if isinstance(request, LookAtFile):
            if file is None:
                raise BadMessage
            return _looked(request.number, map_file(file, request.length))
        if file is not None:
            # The memory before is let go of first.
            self._shared = np.zeros(0, np.uint8)
            self._shared = map_shared(file, request.shared_bytes)
        if isinstance(request, MoreMemory):
            return self._write_what_waits(request)
        body = self._shared[: request.length].data
        if isinstance(request, Look):
            return _looked(request.number, body)
        return self._read(request, body)

    def _read(self, request: Read, body: memoryview) -> Reply:
        try:
            mammogram = read_image(
                body,
                request.kind,
                request.limits,
                request.frame,
                reduction=request.reduction,
                digest=request.digest,
                sandboxed=request.sandboxed,
            )
        except MammosegError as error:
            return Refused(request.number, error.code, error.detail)
        written = mammogram.pixels.nbytes <= self._shared.nbytes
        if written:
            self._write(mammogram.pixels)
        else:
            self._waiting = mammogram
        return Decoded.of(request.number, mammogram, written=written)

    def _write_what_waits(self, request: MoreMemory) -> Reply:
        if self._waiting is None or self._waiting.pixels.nbytes > self._shared.nbytes:
            raise BadMessage
        self._write(self._waiting.pixels)
        self._waiting = None
        return Written(request.number)

    def _write(self, pixels: NDArray[np.uint16]) -> None:
        place = self._shared[: pixels.nbytes].view(np.uint16).reshape(pixels.shape)
        np.copyto(place, pixels)


def main(descriptor: int, memory_mib: int) -> None:
    """Serve until the other end goes away."""
    # Ctrl-C, a stop and a hang-up, of the terminal or as `systemctl kill` sends it, reach every
    # process; it is the service that ends its readers.
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _bound_memory(memory_mib)
    channel = Channel(socket.socket(fileno=descriptor))
    _be_silent()
    worker = Worker()
    spare_what_is_loaded()
    with contextlib.suppress(EOFError, ConnectionError):
        channel.send(encode(Ready(0, sandbox.enter())))
        while True:
            message, file = channel.receive_with_file()
            channel.send(encode(worker.answer(decode_request(message), file)))


def _looked(number: int, body: memoryview) -> Reply:
    try:
        head = look(body)
    except MammosegError as error:
        return Refused(number, error.code, error.detail)
    return Looked(number, WireHeader.of(head.header), head.digest)


def _be_silent() -> None:
    """Let nothing be printed from here on: decoders in C complain, and quote what they met."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _bound_memory(memory_mib: int) -> None:
    """Bound the address space; imports alone take about 500 MiB of it, so count from there."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    bound = taken + (memory_mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
