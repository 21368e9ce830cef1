"""Mammograms a second at concurrency 4 against bare runs of the same tiles, with HTTP and without.

The callers run on the same cores as the service.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bare import Bare
from benchmarks.bodies import Body
from benchmarks.figures import Figure
from benchmarks.load import rate, request_of
from benchmarks.plan import Plan
from benchmarks.processes import ours
from service.settings import Settings
from service.startup.models import open_segmenter

CONCURRENCY = 4
WANTED = {2: 0.60, 4: 0.70}
"""Tiles of the mammogram, and the share of the bare runs' pace to reach over HTTP."""


def measure(plan: Plan) -> list[Figure]:
    """Take both for mammograms of two and of four tiles."""
    figures = []
    for tiles, least in WANTED.items():
        body, count = plan.body(tiles), plan.count(24)
        bare = Bare(plan.model, body.tiles)
        with ours(plan.model) as server:
            request = request_of(body.dicom)
            rate(server.port, request, 8, CONCURRENCY)
            over_http, ratio = plan.in_turns(
                f"{tiles} tiles over HTTP",
                lambda: rate(server.port, request, count, CONCURRENCY),  # noqa: B023
                lambda: bare.rate(count),  # noqa: B023
            )
        figures.append(Figure(f"mammograms/s of {tiles} tiles over HTTP / bare", ratio,
                              least=least, note=f"{over_http:.2f}/s"))  # fmt: skip
        figures.append(_in_process(plan, tiles, body, bare, count))
        bare.close()
    return figures


def _in_process(plan: Plan, tiles: int, body: Body, bare: Bare, count: int) -> Figure:
    settings = Settings(model=plan.model, device="cpu")
    with open_segmenter(settings) as segmenter, ThreadPoolExecutor(CONCURRENCY) as callers:

        def segmented() -> float:
            started = time.perf_counter()
            list(callers.map(lambda _: segmenter.segment(body.dicom), range(count)))
            return count / (time.perf_counter() - started)

        segmented()
        here, ratio = plan.in_turns(
            f"{tiles} tiles in process", segmented, lambda: bare.rate(count)
        )
    what = f"mammograms/s of {tiles} tiles in process / bare"
    return Figure(what, ratio, least=0.80, note=f"{here:.2f}/s")
