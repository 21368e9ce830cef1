"""Two processes that take requests, and one that owns the net, against one that does all.

On a machine whose cores are all busy with the net, this can show only what the way between them
costs; what it is for, receiving more than one event loop can, wants more cores or a GPU.
"""

import asyncio

from benchmarks.figures import Figure
from benchmarks.load import pump, rate, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Server, ours

CONCURRENCY = 8


def measure(plan: Plan) -> list[Figure]:
    """Uncompressed 3328 x 2560, one tile: pace, processor time, memory."""
    request, count = request_of(plan.body(1).dicom), plan.count(80)
    with ours(plan.model) as one, ours(plan.model, ingest="2") as two:
        for server in (one, two):
            asyncio.run(pump(server.port, request, 16, CONCURRENCY))
        pace, ratio = plan.in_turns(
            "two ingest processes",
            lambda: rate(two.port, request, count, CONCURRENCY),
            lambda: rate(one.port, request, count, CONCURRENCY),
        )
        plan.say("processor time")
        taken = {server.port: _core_ms(server, request, count) for server in (one, two)}
        resident = [server.resident() / 2**20 for server in (one, two)]
    return [
        Figure("mammograms/s, INGEST=2 / 1, concurrency 8", ratio, note=f"{pace:.1f}/s"),
        Figure("core-ms a mammogram, INGEST=2 less 1", taken[two.port] - taken[one.port], "ms",
               note=f"{taken[two.port]:.0f} in all"),
        Figure("resident, INGEST=2 less 1", resident[1] - resident[0], "MiB",
               note=f"{resident[1]:.0f} in all, shared memory counted once a process"),
    ]  # fmt: skip


def _core_ms(server: Server, request: bytes, count: int) -> float:
    before = server.cpu_seconds()
    asyncio.run(pump(server.port, request, count, 2))
    return 1e3 * (server.cpu_seconds() - before) / count
