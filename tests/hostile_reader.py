"""A reader in the hands of whoever sends it a file: `python hostile_reader.py FD MIB`.

It is the service's own worker, sandbox and all, with a decoder that does what a file says; what
came of it is told as a caveat. Run without the tests' packages, as a reader is.
"""

import ctypes
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from service.imaging.mammogram import Caveat, Mammogram
from service.reading import worker

kept: list[np.ndarray] = []
"""Every memory that was ever shared."""
descriptors: list[int] = []


def answer(what: str) -> Mammogram:
    """Return a mammogram that tells something."""
    return Mammogram(np.full((2, 3), 7, np.uint16), None, caveats=(Caveat("attack", what),))


def memory_of_parent() -> None:
    with open(f"/proc/{os.getppid()}/mem", "rb") as memory:
        memory.seek(int(sys.argv[1]))


def environment_of_parent() -> str:
    with open(f"/proc/{os.getppid()}/environ", encoding="ascii") as environment:
        return environment.read()


def own_environment() -> str:
    return " ".join(sorted(os.environ))


def peek_into_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    attach, vector = 16, (ctypes.c_size_t * 2)()
    for failed in (
        libc.ptrace(attach, os.getppid(), None, None),
        libc.process_vm_readv(os.getppid(), vector, 1, vector, 1, 0),
    ):
        if failed == 0:
            return
    raise OSError(ctypes.get_errno(), "refused")


def open_descriptors() -> str:
    found = []
    for number in range(256):
        try:
            found.append(oct(os.fstat(number).st_mode)[2:])
        except OSError:
            continue
    return " ".join(found)


def shorten() -> None:
    os.ftruncate(descriptors[-1], 0)


def shorten_by_path() -> None:
    os.truncate(f"/proc/self/fd/{descriptors[-1]}", 0)


def scribble() -> None:
    for memory in kept:
        memory[:] = 0xAB


def search(backwards: str) -> str:
    wanted = backwards[::-1].encode()
    return str(sum(wanted in memory.tobytes() for memory in kept))


def send_descriptors() -> None:
    with socket.socket(fileno=os.dup(int(sys.argv[1]))) as line:
        socket.send_fds(line, [b"\x05\0\0\0"], [0] * 20)
    time.sleep(60)


def many_calls() -> str:
    """Do what a decoder may do after all."""
    thread = threading.Thread(target=lambda: np.linalg.inv(np.eye(50)))
    thread.start()
    thread.join()
    with open(np.__file__, encoding="utf-8") as module:
        return str(len(module.read(10)))


ATTACKS: dict[str, Callable[..., object]] = {
    "memory-of-parent": memory_of_parent,
    "environment-of-parent": environment_of_parent,
    "own-environment": own_environment,
    "peek-into-parent": peek_into_parent,
    "signal-to-parent": lambda: os.kill(os.getppid(), 0),
    "open-descriptors": open_descriptors,
    "connect": lambda port: socket.create_connection(("127.0.0.1", int(port)), 1).close(),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "program": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "child": lambda: os.fork() or os._exit(0),
    "read": lambda path: open(path, encoding="ascii").close(),
    "write": lambda path: open(path, "w", encoding="ascii").close(),
    "append-to-code": lambda: open(worker.__file__, "a", encoding="ascii").close(),
    "list": lambda path: os.listdir(path),
    "uncounted-memory": lambda: os.memfd_create("more"),
    "shorten": shorten,
    "shorten-by-path": shorten_by_path,
    "scribble": scribble,
    "search": search,
    "send-descriptors": send_descriptors,
    "many-calls": many_calls,
    "nothing": lambda *_: "nothing",
}


def read_image(body, *arguments, sandboxed, **options):
    """Read a file, or do what it says."""
    said = bytes(body[:4096])
    if said == b"deadly" or (said == b"deadly if sandboxed" and sandboxed):
        os.abort()
    if said == b"endless":
        time.sleep(60)
    if said.startswith(b"say:") or (said.startswith(b"once:") and sandboxed):
        os.write(int(sys.argv[1]), bytes(body).partition(b":")[2])
        time.sleep(60)
    if said.startswith(b"attack:"):
        _, name, *rest = said.rstrip(b"\0").decode().split(":")
        try:
            outcome = ATTACKS[name](*filter(None, rest[:1]))
        except OSError as error:
            return answer(f"refused: {type(error).__name__}")
        return answer(f"done: {outcome}")
    return original(body, *arguments, sandboxed=sandboxed, **options)


def map_shared(file: int, length: int) -> np.ndarray:
    """Keep what is shared, and its descriptor."""
    descriptors.append(os.dup(file))
    kept.append(original_map(file, length))
    return kept[-1]


original, original_map = getattr(worker, "read_image"), getattr(worker, "map_shared")  # noqa: B009
setattr(worker, "read_image", read_image)  # noqa: B010
setattr(worker, "map_shared", map_shared)  # noqa: B010

if __name__ == "__main__":
    worker.main(*map(int, sys.argv[1:]))
