"""A service whose device takes no processor time: what it answers, and what that costs it.

`python -m benchmarks.sleeping_device PORT` serves so, with the settings of the environment.
"""

import asyncio
import sys
import time
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.bodies import ONE_TILE_MM, dicom_of, film
from benchmarks.figures import Figure
from benchmarks.load import pump, rate, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Server, running
from service.app import create_app
from service.connections.server import serve
from service.inference.scheduler import TileScheduler
from service.inference.session import Session, TileOutputs
from service.logs import configure_logs
from service.models import BUNDLED_MODEL
from service.reading.pool import ReaderPool
from service.segmenter import Segmenter
from service.settings import Settings

TILE_S = 0.003
"""Of 640 x 640 pixels, as on a GPU."""

CALLERS = 16


class SleepingSession:
    """Stands for a `Session` on a GPU: sleeps, and answers what is expected of the golden tile."""

    device, threads, whole_pixels = "cuda", 1, 0

    def __init__(self) -> None:
        real = Session.open(BUNDLED_MODEL)
        self.contract, self.sha256, self.setup = real.contract, real.sha256, real.setup
        golden = self.contract.golden
        expected = golden.expected_probability(self.contract.tiling.tile_shape)
        self._map = expected.repeat(8, axis=0).repeat(8, axis=1).astype(np.float32)
        self._logit = golden.has_mask_logit

    def input_buffer(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array for a batch, as `Session.buffer`."""
        return np.empty(shape, self.contract.input.dtype)

    def run(self, tiles: NDArray[Any]) -> TileOutputs:
        """Sleep as long as a batch of shape (N, 1, rows, columns) takes."""
        count, _, rows, columns = tiles.shape
        time.sleep(TILE_S * tiles.size / self._map.size)
        maps = np.broadcast_to(self._map[:rows, :columns], (count, rows, columns))
        return TileOutputs(maps, np.full(count, self._logit, np.float32), maps[:, ::32, ::32])


def main(port: int) -> int:
    """Serve with such a device; return the exit status."""
    settings = Settings(port=port)
    configure_logs("warning", "console")
    net = TileScheduler(cast(Session, SleepingSession()))
    segmenter = Segmenter(net, ReaderPool(settings.reader_options()).wait_until_ready())
    return serve(create_app(settings, segmenter), settings)


def measure(plan: Plan) -> list[Figure]:
    """Ask for uncompressed mammograms of one tile, and for a film."""
    figures = []
    command = ["-m", "benchmarks.sleeping_device", "{port}"]
    with running(command, "/health/ready", MAMMOSEG_LAME_DUCK_S="0") as server:
        for name, body in (("uncompressed", dicom_of(ONE_TILE_MM)), ("film", film())):
            plan.say(name)
            request, count = request_of(body), plan.count(160)
            asyncio.run(pump(server.port, request, CALLERS, CALLERS))
            whole, own, loop = _cpu_seconds(server)
            found = rate(server.port, request, count, CALLERS)
            whole_ms, own_ms, loop_ms = (
                1e3 * (after - before) / count
                for before, after in zip((whole, own, loop), _cpu_seconds(server), strict=True)
            )
            figures += [
                Figure(f"{name}, {CALLERS} callers: mammograms/s", found, "/s"),
                Figure(f"{name}: core-ms in all", whole_ms, "ms",
                       note=f"{own_ms:.0f} of the service itself, {loop_ms:.0f} of its event loop"),
            ]  # fmt: skip
    return figures


def _cpu_seconds(server: Server) -> tuple[float, float, float]:
    """Return the processor time of the whole tree, of its root, and of the root's main thread."""
    own = server.process.cpu_times()
    threads = {thread.id: thread for thread in server.process.threads()}
    loop = threads[server.process.pid]
    return server.cpu_seconds(), own.user + own.system, loop.user_time + loop.system_time


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
