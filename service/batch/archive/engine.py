"""Who does the work of an archive: this machine, or a Ray cluster (`on_ray`)."""

from collections.abc import Generator, Sequence
from typing import Protocol

from service.batch.archive.items import Item
from service.batch.archive.judge import Answer, Assignment, Judge
from service.errors import StartupError
from service.system.cores import available_cores


class Engine(Protocol):
    """Segments items; each is answered once, in whatever order."""

    @property
    def name(self) -> str:
        """What it is, for the summary."""

    def run(self, items: Sequence[Item]) -> Generator[Answer]:
        """Yield what comes of each item.

        Left early, it waits for what is in work to be given up.

        Raises
        ------
        StartupError
            Model, device or machines do not start.
        DeviceFailed, EngineFailed
            No further image can be segmented.
        """


class ThisMachine:
    """Segments in this process, and reads in the readers' processes."""

    name = "this machine"

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment

    def run(self, items: Sequence[Item]) -> Generator[Answer]:
        """Yield what comes of each item, in their order."""
        judge = Judge(self._assignment, available_cores())
        try:
            answers = judge.run(items)
            try:
                yield from answers
            finally:
                # At once, however it ends: what is in work must not outlive the segmenter.
                answers.close()
        finally:
            judge.close()


def on_ray(
    assignment: Assignment, address: str, workers: int | None, cpus: int, gpus: float
) -> Engine:
    """Return the engine of a Ray cluster; parameters as of `RayCluster`.

    Raises
    ------
    StartupError
        The extra `ray` is not installed.
    """
    try:
        from service.batch.archive.on_ray import RayCluster
    except ImportError:
        raise StartupError(
            "Ray is not installed: pip install '.[archive,ray]' in the checkout"
        ) from None
    return RayCluster(assignment, address, workers, cpus, gpus)
