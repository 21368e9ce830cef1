"""A bound on the memory that opening a model may take: its graph may ask for any amount.

One node of a few bytes makes 8 GiB of zeros, when the model is opened or when it is first run. On a
CPU alone: a GPU's driver takes address space as it likes.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATUS = Path("/proc/self/status")

OPENING_BYTES = 2**31
"""For four copies of the largest model file that is read; the bundled one, with two runners, takes
180 MB."""

THREAD_BYTES = 16 * 2**20
"""A thread's stack, and its arena."""


@contextmanager
def memory_to_open(threads: int) -> Iterator[None]:
    """Let this process take no more than opening a model and proving it may (RLIMIT_DATA, Linux).

    Beyond, allocations fail, and with them the opening.

    Parameters
    ----------
    threads
        As many are started meanwhile, at most.
    """
    held = _data_bytes()
    if held is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held + OPENING_BYTES + threads * THREAD_BYTES
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *limits]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int | None:
    """Return what counts already (proc(5), VmData); None where nobody says."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    kib = next((line.split()[1] for line in lines if line.startswith("VmData:")), None)
    return None if kib is None else int(kib) << 10
