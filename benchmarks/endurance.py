"""Resident memory over many requests at concurrency 8: its peak, and whether it grows."""

import asyncio

import numpy as np

from benchmarks.figures import Figure
from benchmarks.load import pump, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Watch, ours

CONCURRENCY = 8
REQUESTS, QUICK_REQUESTS = 2000, 160
STEPS = 20


def measure(plan: Plan) -> list[Figure]:
    """Send them in twenty parts; what is held after each says whether memory grows."""
    request = request_of(plan.body(1).dicom)
    count = QUICK_REQUESTS if plan.quick else REQUESTS
    held = []
    with ours(plan.model) as server, Watch(server) as watch:
        for step in range(STEPS):
            plan.say(f"endurance, {step * count // STEPS} of {count} requests")
            asyncio.run(pump(server.port, request, count // STEPS, CONCURRENCY))
            held.append(server.resident() / 2**20)
    settled = held[STEPS // 4 :]
    slope = float(np.polyfit(range(len(settled)), settled, 1)[0]) * len(settled)
    return [
        Figure("peak resident memory, concurrency 8", watch.peak / 2**20, "MiB", most=1536),
        Figure("growth over the last three quarters", slope, "MiB", most=32,
               note=f"{count} requests; after the first {held[0]:.0f}, at the end {held[-1]:.0f}"),
    ]  # fmt: skip
