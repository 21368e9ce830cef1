"""What it costs as work grows: time an image over its tiles, throughput over concurrency."""

import numpy as np

from benchmarks.figures import Figure
from benchmarks.load import rate, request_of
from benchmarks.plan import Plan
from benchmarks.processes import ours

TILES = (1, 2, 4)
CONCURRENCIES = (4, 8, 16, 32, 64)


def measure(plan: Plan) -> list[Figure]:
    """Both against one server that takes all callers in."""
    figures = []
    with ours(plan.model, max_in_flight="64", deadline_s="600", upload_timeout_s="600") as server:
        seconds, areas = [], []
        for tiles in TILES:
            plan.say(f"growth, {tiles} tiles")
            body = plan.body(tiles)
            request = request_of(body.dicom)
            rate(server.port, request, 8, 4)
            seconds.append(1 / rate(server.port, request, plan.count(64), 4))
            areas.append(sum(tile.pixels.size for tile in body.tiles) / 1e6)
            figures.append(Figure(f"time an image, {tiles} tiles", seconds[-1] * 1e3, "ms",
                                  note=f"{areas[-1]:.2f} million pixels"))  # fmt: skip
        fit = np.corrcoef(areas, seconds)[0, 1] ** 2
        figures.append(Figure("linear in the tiles' pixels, R squared", float(fit), "", least=0.95))
        request = request_of(plan.body(1).dicom)
        rates = []
        for concurrency in CONCURRENCIES:
            plan.say(f"growth, concurrency {concurrency}")
            # So many that the first and the last, who come and go alone, count for little.
            count = max(plan.count(128) + 32, 3 * concurrency)
            rates.append(rate(server.port, request, count, concurrency))
            figures.append(Figure(f"concurrency {concurrency}", rates[-1], "/s"))
    flat = min(rates) / rates[0]
    figures.append(Figure("slowest of them / concurrency 4", flat, least=0.9))
    return figures
