"""Fifty uploads at once: what health says meanwhile, what memory is taken, what is answered."""

import asyncio
from collections import Counter

from benchmarks.figures import Figure, percentile
from benchmarks.load import Reply, pump, request_of
from benchmarks.plan import Plan
from benchmarks.prober import probing
from benchmarks.processes import Watch, ours

CROWD = 50
MEMORY_MIB = 2048


def measure(plan: Plan) -> list[Figure]:
    """Send them, and ask for health fifty times a second until all are answered."""
    request = request_of(plan.body(1).dicom)
    with ours(plan.model) as server:
        asyncio.run(pump(server.port, request, 4, 2))
        plan.say(f"{CROWD} uploads at once")
        with Watch(server) as watch, probing(server.port) as health:
            replies = asyncio.run(pump(server.port, request, CROWD, CROWD))
    counts = Counter(reply.status for reply in replies)
    good = sum(is_answer(reply) for reply in replies)
    waits = [reply.seconds * 1e3 for reply in health if reply.status == 200]
    return [
        Figure("health p99 with 50 uploads at once", percentile(waits, 99), "ms", most=50,
               note=f"{len(waits)} of {len(health)} probes answered, p50 "
               f"{percentile(waits, 50):.1f} ms"),
        Figure("peak memory of the tree", watch.peak / 2**20, "MiB", most=MEMORY_MIB,
               note="resident; pages shared by two processes count twice"),
        Figure("answered 200, or 503 with Retry-After", good / CROWD, least=1.0,
               note=", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))),
    ]  # fmt: skip


def is_answer(reply: Reply) -> bool:
    """Tell whether a server may answer so: 200, or full and when to come again."""
    return reply.status == 200 or (reply.status in (429, 503) and reply.retry_after is not None)
