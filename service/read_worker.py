"""The worker's side of reading: `python -m service.read_worker FD MIB`, one file after another.

It talks over a Unix socket it inherits. Bodies and pixels travel beside it in anonymous files that
the service lends and uses again and again: a body is read where it was received, and a frame of
27 MB is written once.
"""

import contextlib
import mmap
import os
import resource
import signal
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

import cv2
import numpy as np

from service.errors import MammosegError
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ImageKind, ReadLimits, read_image
from service.imaging.source_header import look
from service.imaging.wanted_resolution import WantedResolution

READY, WRITTEN = "ready", "written"
"""What a worker says first, and last of an image."""


@dataclass(frozen=True, slots=True)
class Order:
    """Read `length` bytes from `start` on of the file that follows; the rest as in `read_image`."""

    start: int
    length: int
    kind: ImageKind | None
    limits: ReadLimits
    frame: int | None
    resolution: WantedResolution | None
    sandboxed: bool


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the header of the DICOM file in `length` bytes of the file that follows."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A mammogram without its pixels: they are uint16 of `shape`, and want a file to go to."""

    mammogram: Mammogram
    shape: tuple[int, int]


def main(socket: int, memory_mib: int) -> None:
    """Serve until the other end goes away."""
    # Ctrl-C and a stop of the unit reach every process; it is the service that ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _bound_memory(memory_mib)
    pipe = Connection(socket)
    _be_silent()
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send(READY)
        while True:
            order = pipe.recv()
            body = mapped(recv_handle(pipe), order.start, order.length)
            if isinstance(order, Look):
                _look(pipe, body)
            else:
                _deliver(pipe, body, order)
            # Not to be kept while the next order is waited for.
            del body


def _be_silent() -> None:
    """Let nothing be printed from here on: decoders in C complain, and quote what they met."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _look(pipe: Connection, body: memoryview) -> None:
    try:
        pipe.send(look(body))
    except MammosegError as error:
        pipe.send(error)


def _deliver(pipe: Connection, body: memoryview, order: Order) -> None:
    try:
        mammogram = read_image(
            body,
            order.kind,
            order.limits,
            order.frame,
            resolution=order.resolution,
            sandboxed=order.sandboxed,
        )
        pixels = np.ascontiguousarray(mammogram.pixels)
    except MammosegError as error:
        pipe.send(error)
        return
    bare = replace(mammogram, pixels=np.empty((0, 0), np.uint16))
    pipe.send(Delivery(bare, (mammogram.rows, mammogram.columns)))
    file = recv_handle(pipe)
    try:
        write_all(file, pixels.reshape(-1).view(np.uint8).data)
    finally:
        os.close(file)
    pipe.send(WRITTEN)


def _bound_memory(memory_mib: int) -> None:
    """Bound the address space; imports alone take about 500 MiB of it, so count from there."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    bound = taken + (memory_mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def mapped(file: int, start: int, length: int) -> memoryview:
    """Map a part of a file to be read, and close the file; the view keeps the mapping.

    In one go where the system can: a frame is 6,500 pages, a fault each.
    """
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    before = start % mmap.ALLOCATIONGRANULARITY
    try:
        if length == 0:
            return memoryview(b"")
        memory = mmap.mmap(
            file, before + length, flags=flags, prot=mmap.PROT_READ, offset=start - before
        )
    finally:
        os.close(file)
    return memoryview(memory)[before:]


def write_all(file: int, data: bytes | memoryview) -> None:
    """Write all of `data` to a file, from its start."""
    done = 0
    rest = memoryview(data)
    while done < len(rest):
        done += os.pwrite(file, rest[done:], done)


if __name__ == "__main__":
    # The classes that travel must be those of the imported module, not of `__main__`.
    from service import read_worker

    read_worker.main(*map(int, sys.argv[1:]))
