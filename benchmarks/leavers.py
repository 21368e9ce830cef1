"""Callers that send a mammogram and leave: the processor time that is burned for nobody."""

import asyncio
import time

from benchmarks.figures import Figure
from benchmarks.load import pump, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Server, ours

LEAVERS = 16
WINDOW_S = 3.0


def measure(plan: Plan) -> list[Figure]:
    """Wait until all are at work, hang up, and count what the server still burns."""
    request = request_of(plan.body(4).dicom)
    with ours(plan.model) as server:
        asyncio.run(pump(server.port, request, 4, 2))
        plan.say(f"{LEAVERS} callers that leave")
        asyncio.run(_send_and_leave(server, request))
        # No request meanwhile, not even for metrics: each would cost as much as what is looked for.
        burned = _burned(server) - _burned(server)
        if server.metric("mammoseg_in_flight") > 0:
            raise RuntimeError("two windows did not suffice to let go of everything")
    return [Figure("CPU burned after 16 callers left", burned, "s", most=0.3,
                   note="4 tiles each")]  # fmt: skip


async def _send_and_leave(server: Server, request: bytes) -> None:
    writers = []
    for _ in range(LEAVERS):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        writers.append(writer)
    await asyncio.gather(*(writer.drain() for writer in writers))
    # The last bytes are on their way, the first of them are at work.
    await asyncio.sleep(0.3)
    for writer in writers:
        writer.transport.abort()


def _burned(server: Server) -> float:
    before = server.cpu_seconds()
    time.sleep(WINDOW_S)
    return server.cpu_seconds() - before
