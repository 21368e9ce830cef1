"""What a mammogram costs the processor beside the net, from the first byte to the last."""

import asyncio

from benchmarks.figures import Figure
from benchmarks.load import pump, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Server, ours


def measure(plan: Plan) -> list[Figure]:
    """Uncompressed 3328 x 2560, one tile; CPU time of the whole tree, less that inside the net."""
    request, count = request_of(plan.body(1).dicom), plan.count(80)
    # One runner of one thread: all of the net's time is its own, and counted.
    with ours(plan.model, runners="1") as server:
        asyncio.run(pump(server.port, request, 8, 2))
        before = _seconds(server)
        plan.say(f"core time, {count} mammograms")
        replies = asyncio.run(pump(server.port, request, count, 2))
        after = _seconds(server)
    if any(reply.status != 200 for reply in replies):
        raise RuntimeError("not all were answered 200")
    total, net, readers = (1e3 * (b - a) / count for a, b in zip(before, after, strict=True))
    note = f"of {total:.0f} in all, {net:.0f} in the net, {readers:.0f} in the readers"
    return [Figure("core-ms outside the net, upload included", total - net, "ms", most=60,
                   note=note)]  # fmt: skip


def _seconds(server: Server) -> tuple[float, float, float]:
    total = server.cpu_seconds()
    own = server.process.cpu_times()
    return total, server.metric("mammoseg_net_cpu_seconds"), total - own.user - own.system
