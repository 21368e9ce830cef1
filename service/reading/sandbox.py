"""Takes from a reader what it does not need, so that code which runs in it finds nothing.

Each part is named, and told by `mammoseg doctor`: "on", or what is missing here. None is demanded:
where the kernel lacks one, the others hold, and the service logs which is missing.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from service.reading import landlock, seccomp
from service.reading.seccomp import Unsupported

ON = "on"

MAX_FILES = 64
"""Descriptors of a reader: its socket, a file at a time, modules that are loaded late."""

_SET_SIGNAL_OF_PARENTS_END, _SET_DUMPABLE, _SET_NO_NEW_PRIVILEGES = 1, 4, 38
_CAPABILITIES_3 = 0x20080522


def enter() -> dict[str, str]:
    """Give up, for good, what a reader does not need; return what that is made of here.

    To be called while there is but one thread: what is given up is a thread's own.
    """
    parts: dict[str, Callable[[], str]] = {
        "descriptors": _bound_descriptors,
        "not-dumpable": close_memory,
        "no-new-privileges": lambda: _prctl(_SET_NO_NEW_PRIVILEGES, 1),
        "landlock": _enter_landlock,
        "no-capabilities": _drop_capabilities,
        "ends-with-service": _end_with_service,
        "seccomp": _enter_seccomp,
    }
    return {name: _outcome(part) for name, part in parts.items()}


def close_memory() -> str:
    """Close this process's memory and environment in /proc to others of the same user."""
    return _prctl(_SET_DUMPABLE, 0)


def close_service() -> dict[str, str]:
    """Do for the service's own process what a sandbox of a reader asks for; return as `enter`."""
    return {"not-dumpable": _outcome(close_memory)}


def missing(parts: dict[str, str]) -> list[str]:
    """Return the names of the parts that are not on."""
    return sorted(name for name, state in parts.items() if not state.startswith(ON))


def environment(memory_mib: int) -> dict[str, str]:
    """Return what a reader is given of the environment: where libraries are, no threads, its heap.

    A thread of a library would be outside of what is given up. The allocator keeps a quarter of
    what the reader may take for the next image: 24 MB of a film that are given back and taken again
    cost 6,000 page faults, a fifth of its time.
    """
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    heap = {
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(memory_mib << 18),
    }
    return kept | heap | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


def _outcome(part: Callable[[], str]) -> str:
    if sys.platform != "linux":
        return "off: only Linux has it"
    try:
        return part()
    except (OSError, ValueError, AttributeError, Unsupported) as error:
        reason = str(error) if isinstance(error, Unsupported) else type(error).__name__
        return f"off: {reason}"


def _prctl(option: int, value: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), nothing, nothing, nothing):
        raise Unsupported(f"errno {ctypes.get_errno()}")
    return ON


def _end_with_service() -> str:
    """Be killed when the thread that started this process ends (prctl, PR_SET_PDEATHSIG).

    An end of file on its socket tells a reader too, but not one that is stopped, or that is caught
    in a decoder. Capabilities are given up before, since that may undo it.
    """
    return _prctl(_SET_SIGNAL_OF_PARENTS_END, signal.SIGKILL)


def _bound_descriptors() -> str:
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
    return ON


def _enter_landlock() -> str:
    if len(os.listdir("/proc/self/task")) > 1:
        raise Unsupported("a library has started a thread")
    return f"{ON}, version {landlock.restrict(_code())}"


def _enter_seccomp() -> str:
    seccomp.install()
    return ON


def _drop_capabilities() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("<Ii", _CAPABILITIES_3, 0)
    if libc.capset(header, bytes(24)):
        raise Unsupported(f"errno {ctypes.get_errno()}")
    return ON


def _code() -> Iterator[str]:
    """Yield where modules and libraries are loaded from: some are so while a file is decoded."""
    yield from (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    yield from (p for p in sys.path if Path(p).name in ("site-packages", "dist-packages"))
    yield str(Path(__file__).parents[1])
    # Links among them lead to one another.
    yield from ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
    yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
