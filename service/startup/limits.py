"""What the system must let the service have: what lacks it dies in the midst of its work."""

from collections.abc import Iterable

import structlog

from service.errors import StartupError
from service.settings import Settings
from service.system.cores import available_cores
from service.system.process_limits import (
    TaskBound,
    address_bound_mib,
    memory_bounds_mib,
    task_bounds,
)

log = structlog.get_logger("mammoseg")

OWN_TASKS = 9
"""The service's first thread, four of the event loop's library, and one each for the log, the
readers' start and their watch, the models' watch."""

MAX_HELPERS = 32
"""Threads of the event loop for what blocks: four more than the cores, and no more than these."""

REST_ADDRESSES_MIB = 1280
"""Addresses, mapped or only reserved, of the service at rest with the bundled model: 1257 MiB; with
eight requests in work 1781, under the default settings."""


def tasks_needed(settings: Settings) -> int:
    """Return how many processes and threads the service may come to under load, on a CPU.

    Measured: 20 on two cores, of the 25 that this counts.
    """
    cores, models = available_cores(), len(settings.model_paths)
    # Of a model each tile's runner, and the further threads of the session for a lone tile.
    nets = models * (2 * settings.runners - 1) + (0 if settings.shadow is None else 2)
    # A thread each of the library for linear algebra, two for requests, and the helpers.
    threads = cores + 2 * cores + min(MAX_HELPERS, cores + 4)
    return OWN_TASKS + settings.memory.readers + nets + threads


def check_limits(
    settings: Settings,
    tasks: Iterable[TaskBound] | None = None,
    addresses_mib: int | None = None,
) -> None:
    """Look whether the system lets the service have the threads and addresses that it comes to.

    Beforehand, since the runtime of the net ends the process where it can start no thread.

    Raises
    ------
    StartupError
        It does not; another start may, where others have too many of them now.
    """
    needed = tasks_needed(settings)
    for who, limit, held in task_bounds() if tasks is None else tasks:
        if limit - held < needed:
            others = f", of which others have {held}" if held else ""
            raise StartupError(
                f"{who} allows {limit} processes and threads{others}; the service takes up to "
                f"{needed} on {available_cores()} cores: raise that",
                may_pass=limit >= needed,
            )
    plan = settings.memory
    least_mib = REST_ADDRESSES_MIB + plan.bodies_mib + plan.pixels_mib
    bound_mib = address_bound_mib() if addresses_mib is None else addresses_mib
    if bound_mib is not None and bound_mib < least_mib:
        raise StartupError(
            f"the limit of addresses (ulimit -v) allows {bound_mib} MiB; the service takes up to "
            f"{least_mib}, most of them without memory: raise it, or lift it, and bound the "
            "memory by MAMMOSEG_MEMORY_MIB and a container"
        )


def warn_of_memory(settings: Settings) -> None:
    """Log who allows less memory than the settings share out: the kernel ends the service then."""
    for who, bound in memory_bounds_mib().items():
        if settings.memory_mib > bound:
            log.warning(
                "memory-over-limit", memory_mib=settings.memory_mib, allowed_mib=bound, by=who
            )
