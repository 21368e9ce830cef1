"""How many cores this process may use: its affinity and its containers' quotas, not the host's."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Return the number, at least 1.

    A quota of cgroup v2 is "<microseconds> <period>", or "max <period>" for none. That of every
    group above holds too: in a container the own group is the root of what is seen, under systemd
    it lies deeper.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, *(math.ceil(quota) for quota in _quotas()), cores))


def _quotas() -> Iterator[float]:
    for folder in cgroup_folders():
        try:
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue


def cgroup_folders() -> Iterator[Path]:
    """Yield the folder of the own cgroup (v2) and of each above it, down to the root."""
    try:
        lines = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
        own = next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
    except (OSError, StopIteration):
        own = ""
    # A path that leads out of what is seen belongs to another view of the tree.
    parts = [] if ".." in own else own.split("/")
    for depth in range(len(parts), 0, -1):
        yield CGROUPS.joinpath(*parts[:depth])
    yield CGROUPS
