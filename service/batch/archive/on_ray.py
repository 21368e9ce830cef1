"""Work on a Ray cluster, by Ray Data: a few images at a time to workers that may be lost.

Workers write nothing: what they make comes back through Ray to this process. Ray gives the images
of a worker that is lost to another one.
"""

import logging
import os
import pickle
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

# Ray tells its makers of each cluster that is started, unless it is told not to.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow as pa
import ray
import ray.data
import ray.exceptions

from service.batch.archive.items import Item
from service.batch.archive.judge import Answer, Assignment, Judge
from service.batch.run import EngineFailed
from service.errors import DeviceFailed, StartupError
from service.exit_status import DEVICE_FAILED
from service.logs import configure_logs

MAX_IMAGES = 32
"""Handed to a worker at a time: what is done again where one is lost."""


class RayCluster:
    """Segments on a cluster.

    Parameters
    ----------
    assignment
        What to do. Files, and the model if it is not the bundled one, are found on every machine
        under the same path.
    address
        Of the cluster; `auto` for that of this machine, `local` for one that lasts as long as a
        run.
    workers
        At most; None for as many as there is room for.
    cpus, gpus
        Of each worker.
    """

    def __init__(
        self,
        assignment: Assignment,
        address: str,
        workers: int | None,
        cpus: int,
        gpus: float,
    ) -> None:
        self._assignment = assignment
        self._address, self._workers, self._cpus, self._gpus = address, workers, cpus, gpus
        self.name = "Ray"

    def run(self, items: Sequence[Item]) -> Generator[Answer]:
        """Yield what comes of each item, as it comes."""
        with _connected(self._address):
            size = self._workers or _room(self._cpus, self._gpus)
            self.name = f"Ray, {size} workers on {len(ray.nodes())} machines"
            yield from self._answers(items, size)

    def _answers(self, items: Sequence[Item], size: int) -> Generator[Answer]:
        # So that the last ones do not wait for one worker with a whole block.
        step = max(1, min(MAX_IMAGES, len(items) // (4 * size)))
        blocks = [
            pa.table({"items": [pickle.dumps(list(items[start : start + step]))]})
            for start in range(0, len(items), step)
        ]
        settings = self._assignment.settings.of_share(self._cpus, self._gpus)
        assignment = replace(self._assignment, settings=settings)
        answered = ray.data.from_arrow(blocks).map_batches(
            Worker,
            fn_constructor_args=(assignment, self._cpus),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=size),
            num_cpus=self._cpus,
            num_gpus=self._gpus or None,
        )
        for table in answered.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=1
        ):
            for answer in table.column("answer"):
                yield pickle.loads(answer.as_buffer())  # noqa: S301 - a worker of our own wrote it


class Worker:
    """An actor of Ray Data: has the model open, takes a few images at a time."""

    def __init__(self, assignment: Assignment, cores: int) -> None:
        configure_logs("warning", "json")
        self._judge = Judge(assignment, cores)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Segment the items of a table; return a row for each answer."""
        items = [item for row in table.column("items") for item in pickle.loads(row.as_buffer())]  # noqa: S301
        try:
            answers = [pickle.dumps(answer, protocol=5) for answer in self._judge.run(items)]
        except DeviceFailed:
            # Not to be used again; Ray starts another one, where there is a device.
            os._exit(DEVICE_FAILED)
        return pa.table({"answer": pa.array(answers, pa.large_binary())})


def _room(cpus: int, gpus: float) -> int:
    """Return how many workers a cluster has room for now."""
    there = ray.cluster_resources()
    room = there.get("CPU", 0) / cpus
    if gpus:
        room = min(room, there.get("GPU", 0) / gpus)
    if room < 1:
        raise StartupError("the Ray cluster has no room for a worker: see --cpus and --gpus")
    return int(room)


@contextmanager
def _connected(address: str) -> Generator[None]:
    """Connect to a cluster; what Ray raises becomes what an engine raises."""
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError):
        raise StartupError(f"no Ray cluster answers at {address}") from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield
    except ray.exceptions.RayError as error:
        raise _named(error) from None
    finally:
        with suppress(Exception):
            ray.shutdown()


def _named(error: ray.exceptions.RayError) -> Exception:
    """Return what an error of Ray's is here; its text may quote what a worker was given."""
    _, is_ours, sentence = str(error).rpartition("errors.StartupError: ")
    if is_ours:
        return StartupError(sentence.splitlines()[0])
    return EngineFailed(f"the Ray cluster failed ({type(error).__name__})")
