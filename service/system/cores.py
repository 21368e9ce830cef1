"""How many cores this process may use: its affinity and its containers' quotas, not the host's."""

import math
import os

from service.system.cgroups import cpu_quotas


def available_cores() -> int:
    """Return the number, at least 1."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, *map(math.ceil, cpu_quotas()), cores))
