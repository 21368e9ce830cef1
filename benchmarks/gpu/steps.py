"""One step of the table of a GPU: python -m benchmarks.gpu.steps NAME INPUTS ROWS [--stand-in].

A step writes its rows as it has them, so that one that is ended leaves what it found.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.bodies import ONE_TILE_MM, dicom_of
from benchmarks.crowd import is_answer
from benchmarks.figures import Figure, median, percentile
from benchmarks.gpu.nvidia import used_mib
from benchmarks.load import pump, rate, request_of
from benchmarks.prober import probing
from benchmarks.processes import Server, Watch, ours
from service.errors import StartupError
from service.inference import cuda, tensorrt
from service.inference.batching import BATCH_SIZES
from service.inference.device import Device, Gpu
from service.inference.golden import check_golden
from service.inference.provider_setup import ON_CPU, ProviderSetup
from service.inference.session import Session
from service.inference.warmup import seconds_a_run
from service.models import BUNDLED_MODEL

CALLERS = (1, 2, 4, 8, 16, 32, 64)
CROWD = 50
ROOM = {"max_in_flight": "128", "memory_mib": "32768"}
"""Settings under which 64 callers are all answered."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a step works on.

    Attributes
    ----------
    inputs
        Folder with `views` and `half.onnx`.
    stand_in
        The CPU stands in for every device.
    short
        Few requests.
    """

    inputs: Path
    stand_in: bool
    short: bool

    def model(self, precision: str) -> Path:
        """Return the model in `single` or `half` precision."""
        return BUNDLED_MODEL if precision == "single" else self.inputs / "half.onnx"

    def views(self) -> list[bytes]:
        """Return the eight views, or the first where few requests are wanted."""
        files = sorted((self.inputs / "views").glob("*.dcm"))
        return [file.read_bytes() for file in files[: 1 if self.short else None]]

    def callers(self) -> tuple[int, ...]:
        """Return how many callers there are at once, in turn."""
        return CALLERS[:2] if self.short else CALLERS

    def settings(self) -> dict[str, str]:
        """Return the service's settings."""
        return ROOM | {"device": "cpu" if self.stand_in else "cuda"}


Step = Callable[[Given], Iterator[Figure]]


def setups(device: Device, given: Given) -> Iterator[Figure]:
    """Open both models in every way, prove the golden tile, and time it in two batch sizes."""
    for precision in ("single", "half"):
        path = given.model(precision)
        plain = Session.open(path)
        sizes = BATCH_SIZES["cpu" if given.stand_in else device]
        for setup in _ways(device, given, plain):
            name = f"{setup.name}, {precision}"
            try:
                session = Session.open(path, setup=setup)
                deviation = check_golden(session)
                took = {size: seconds_a_run(session, size) for size in {sizes[0], sizes[-1]}}
            except StartupError as error:
                yield Figure(f"{name}: refused", 0.0, "", note=" ".join(str(error).split())[:200])
                continue
            yield Figure(
                f"{name}: golden tile's deviation", deviation, "of probability",
                note=f"of {session.contract.golden.tolerance:g} allowed",
            )  # fmt: skip
            for size, seconds in sorted(took.items()):
                yield Figure(f"{name}: a tile, {size} at once", 1e3 * seconds / size, "ms")


def latency(given: Given) -> Iterator[Figure]:
    """Ask for one mammogram after the other: what a caller waits from DICOM to JSON."""
    bodies = {"eight views, RLE, 16 bits": given.views(), "one tile": [dicom_of(ONE_TILE_MM)]}
    with _served(given) as server:
        for name, files in bodies.items():
            requests = [request_of(body) for body in files]
            for request in requests:
                asyncio.run(pump(server.port, request, 2, 1))
            waits = [
                reply.seconds * 1e3
                for request in requests
                for reply in asyncio.run(pump(server.port, request, 2 if given.short else 10, 1))
            ]
            note = f"p95 {percentile(waits, 95):.0f} ms, {len(waits)} asked"
            yield Figure(f"p50, {name}", median(waits), "ms", note=note)


def throughput(precision: str, given: Given) -> Iterator[Figure]:
    """Ask with more and more callers; memory is read at the end."""
    request = request_of(dicom_of(ONE_TILE_MM))
    with _served(given, precision) as server:
        asyncio.run(pump(server.port, request, 4, 2))
        with Watch(server) as watch:
            for callers in given.callers():
                before = server.cpu_seconds()
                count = callers + (2 if given.short else 24 + 3 * callers)
                found = rate(server.port, request, count, callers)
                cost = (server.cpu_seconds() - before) / count
                yield Figure(f"{callers} callers", found, "/s", note=f"{cost:.3f} core-s each")
            used = used_mib()
        yield Figure("resident memory of all processes, peak", watch.peak / 2**20, "MiB",
                     note="what is shared counts once a process")  # fmt: skip
        if used is not None:
            yield Figure("memory in use on the GPU", used, "MiB")


def health(given: Given) -> Iterator[Figure]:
    """Ask for health fifty times a second while fifty mammograms come at once."""
    request, crowd = request_of(dicom_of(ONE_TILE_MM)), 8 if given.short else CROWD
    with _served(given) as server:
        asyncio.run(pump(server.port, request, 4, 2))
        with probing(server.port) as replies:
            answers = asyncio.run(pump(server.port, request, crowd, crowd))
    waits = [reply.seconds * 1e3 for reply in replies if reply.status == 200]
    good = sum(is_answer(answer) for answer in answers)
    yield Figure(f"health p99 with {crowd} uploads at once", percentile(waits, 99), "ms",
                 note=f"{len(waits)} of {len(replies)} probes answered")  # fmt: skip
    yield Figure("answered 200, or 503 with Retry-After", good / crowd, "of all")


STEPS: dict[str, tuple[Step, float]] = {
    "setups-cuda": (partial(setups, "cuda"), 90.0),
    "latency": (latency, 60.0),
    "single": (partial(throughput, "single"), 75.0),
    "half": (partial(throughput, "half"), 75.0),
    "health": (health, 45.0),
    # The last, since building engines takes as long as it takes.
    "setups-tensorrt": (partial(setups, "tensorrt"), 300.0),
}
"""Each with the seconds that it may take at most, by what is wanted most."""


def _ways(device: Device, given: Given, plain: Session) -> Sequence[ProviderSetup]:
    if given.stand_in:
        return (ON_CPU,)
    if device == "cuda":
        return cuda.setups(Gpu())
    return tensorrt.setups(Gpu(), plain.contract, plain.sha256, BATCH_SIZES[device])


def _served(given: Given, precision: str = "single") -> AbstractContextManager[Server]:
    return ours(given.model(precision), **given.settings())


def main(
    name: Annotated[str, typer.Argument(help=f"Of {', '.join(STEPS)}.")],
    inputs: Annotated[Path, typer.Argument(help="Folder with views and half.onnx.")],
    rows: Annotated[Path, typer.Argument(help="JSON file to write.")],
    stand_in: Annotated[bool, typer.Option(help="The CPU stands in.")] = False,
    short: Annotated[bool, typer.Option(help="Few requests.")] = False,
) -> None:
    """Take the step's rows."""
    step, _ = STEPS[name]
    taken: list[dict[str, object]] = []
    for figure in step(Given(inputs, stand_in, short)):
        taken.append(asdict(figure))
        # In one go: a step may be ended at any moment.
        written = rows.with_suffix(".part")
        written.write_text(json.dumps(taken), encoding="utf-8")
        written.replace(rows)


if __name__ == "__main__":
    typer.run(main)
