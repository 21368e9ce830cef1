"""Tiles a second through the scheduler, against the best that bare runs of the net give."""

import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bare import Bare
from benchmarks.figures import Figure
from benchmarks.plan import Plan
from service.cancellation import CancelToken
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from service.system.cores import available_cores

CALLERS = 4


def measure(plan: Plan) -> list[Figure]:
    """Four callers with four tiles each, again and again."""
    tiles = plan.body(4).tiles
    each = plan.count(16)
    cores = available_cores()
    scheduler = TileScheduler(
        Session.open(plan.model),
        runners=cores,
        wide=Session.open(plan.model, threads=cores),
    )
    bare = Bare(plan.model, tiles)

    def scheduled() -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as callers:
            list(callers.map(lambda _: scheduler.run(tiles, CancelToken()), range(each)))
        return each / (time.perf_counter() - started)

    rate, ratio = plan.in_turns("scheduler / bare", scheduled, lambda: bare.rate(each))
    bare.close()
    scheduler.close()
    note = f"{rate * len(tiles):.1f} tiles/s; bare: {bare.way}"
    return [Figure("tiles/s, scheduler / bare runs", ratio, least=0.95, note=note)]
