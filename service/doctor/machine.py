"""Looks at the machine: Python, processor, cores, memory."""

import os
import platform
import sys
from collections.abc import Iterator

from service.capacity.plan import MemoryPlan
from service.doctor.check import Check, mend, note, well
from service.settings import Settings
from service.system.cores import available_cores
from service.system.process_limits import memory_bounds_mib
from service.telemetry.machine import instruction_set, machine

LEAST_PYTHON = (3, 11)

FAST = frozenset(("amx_int8", "avx512_vnni", "avx512f", "avx2", "sve", "asimd"))
"""With these a convolution takes a fraction of what it takes without."""


def machine_checks(settings: Settings) -> Iterator[Check]:
    """Yield what there is to say of the machine under these settings."""
    yield python_check(sys.version_info[:3])
    yield processor_check(machine(), instruction_set())
    yield cores_check(settings.runners, available_cores(), os.cpu_count() or 1)
    yield memory_check(settings.memory_mib, settings.memory, memory_bounds_mib())


def python_check(version: tuple[int, int, int]) -> Check:
    """Check Python's version."""
    text = f"{'.'.join(map(str, version))}, {platform.python_implementation()}"
    if version[:2] < LEAST_PYTHON:
        return mend("python", text, "install Python 3.11 or newer, and mammoseg under it")
    return well("python", text)


def processor_check(name: str, best: str) -> Check:
    """Check the processor's instruction set."""
    if best in FAST:
        return well("processor", name)
    advice = "the net runs several times faster on a processor with AVX2 or AVX-512"
    if best == "unknown":
        return well("processor", name)
    return note("processor", name, f"{advice}; in a virtual machine, pass the host's through")


def cores_check(runners: int, cores: int, host: int) -> Check:
    """Check that the net's runners have a core each.

    Parameters
    ----------
    runners
        Tiles that are run at once on a CPU.
    cores
        That this process may use, by its affinity and its containers' quotas.
    host
        Of the machine.
    """
    bound = "" if cores == host else f", by affinity or the container's quota, of {host}"
    found = f"{runners} runners on {cores} cores{bound}"
    if runners > cores:
        return note("cores", found, f"set MAMMOSEG_RUNNERS={cores}, or allow it more cores")
    return well("cores", found)


def memory_check(memory_mib: int, plan: MemoryPlan, bounds_mib: dict[str, int]) -> Check:
    """Check that the memory which the service counts on is there.

    Parameters
    ----------
    memory_mib
        The setting.
    plan
        What follows from it.
    bounds_mib
        What there is, by who says so, MiB.
    """
    found = (
        f"{memory_mib} MiB: {plan.readers} readers of {plan.reader_mib} MiB, bodies "
        f"{plan.bodies_mib}, pixels {plan.pixels_mib}"
    )
    for who, bound in bounds_mib.items():
        if memory_mib > bound:
            advice = f"{who} allows {bound} MiB: lower MAMMOSEG_MEMORY_MIB, or raise that"
            return mend("memory", found, advice)
    return well("memory", found)
