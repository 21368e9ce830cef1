"""What the system lets this process and its children have: memory, threads, addresses."""

import contextlib
import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from service.system.cgroups import Tasks, memory_limits, task_limits, text_of

PROC = Path("/proc")
MEMORY_INFO = PROC / "meminfo"

NO_THREAD = "can't start new thread"
"""What Python says; it has no class of its own for that."""

LACK_OF_THREADS = "no further thread can be started (pids.max of a container, ulimit -u, ulimit -v)"
"""How it is said in words."""


def memory_bounds_mib(
    limits: Iterable[int] | None = None, memory_info: Path = MEMORY_INFO
) -> dict[str, int]:
    """Return what bounds this process's memory, MiB: the container's groups and the machine."""
    bounds = {}
    if groups := list(memory_limits() if limits is None else limits):
        bounds["the container"] = min(groups) >> 20
    total = next(
        (line for line in text_of(memory_info).splitlines() if line.startswith("MemTotal:")), ""
    )
    if total:
        bounds["the machine"] = int(total.split()[1]) >> 10
    return bounds


class TaskBound(NamedTuple):
    """A limit of processes and threads.

    Attributes
    ----------
    who
        Says so.
    limit
        How many there may be.
    held
        How many of them there are, of others than this process.
    """

    who: str
    limit: int
    held: int


def task_bounds(
    groups: Iterable[Tasks] | None = None, proc: Path = PROC, user: int | None = None
) -> Iterator[TaskBound]:
    """Yield each limit of processes and threads that holds for this process."""
    own = _threads_of(proc / "self")
    for limit, held in task_limits() if groups is None else groups:
        yield TaskBound("the container (pids.max)", limit, max(0, held - own))
    user = os.getuid() if user is None else user
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # It does not hold for root, and counts all processes of a user.
    if user and limit != resource.RLIM_INFINITY:
        held = sum(_threads_of(one) for one in proc.glob("[0-9]*") if _owner(one) == user)
        yield TaskBound("the user's limit (ulimit -u)", limit, max(0, held - own))


def address_bound_mib() -> int | None:
    """Return how many MiB of addresses this process may have (RLIMIT_AS); None without a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit >> 20


def is_lack_of_threads(error: BaseException) -> bool:
    """Tell whether it is the system that lets no further thread be started."""
    return isinstance(error, RuntimeError) and NO_THREAD in str(error)


def _threads_of(process: Path) -> int:
    lines = text_of(process / "status").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Threads:")), 0)


def _owner(process: Path) -> int | None:
    with contextlib.suppress(OSError):
        return process.stat().st_uid
    return None
