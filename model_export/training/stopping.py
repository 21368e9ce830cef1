"""A run that is told to end stops after its step, and leaves what it can go on from."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader, Dataset, Sampler

from model_export.sampling.batches import Batch
from service.system.whole_file import whole_file


class Terminated(Exception):
    """The run got SIGTERM, and has written its checkpoint."""


class SaveWhenTerminated(Callback):
    """Writes the checkpoint that `--resume` reads when SIGTERM ends the run.

    Lightning raises its exception between two steps, so what is saved is a whole step.

    Parameters
    ----------
    path
        Of that checkpoint; replaced whole or not at all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save where the exception is SIGTERM's; a step that failed is not worth keeping."""
        if isinstance(exception, SIGTERMException):
            with whole_file(self._path) as partial:
                trainer.save_checkpoint(partial)


def _outlive_sigterm(_: int) -> None:
    """Let a worker go on where its whole group gets SIGTERM: the step under way wants its batch.

    It ends when the run does.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class _Remaining(Sampler[int]):
    """The steps of an epoch that are still to be done."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.start = 0

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self._steps))

    def __len__(self) -> int:
        return self._steps


class EpochLoader(DataLoader[Batch]):
    """The batches of one epoch, which may be gone on with amid the epoch.

    Parameters
    ----------
    batches
        By step.
    steps_done
        Called for a checkpoint: steps of this epoch that are done.
    workers
        Processes that make batches; 0 for none.
    """

    def __init__(
        self, batches: Dataset[Batch], steps_done: Callable[[], int], workers: int
    ) -> None:
        self._steps_done = steps_done
        self._remaining = _Remaining(len(batches))  # type: ignore[arg-type]
        super().__init__(
            batches,
            batch_size=None,
            sampler=self._remaining,
            num_workers=workers,
            prefetch_factor=8 if workers else None,
            worker_init_fn=_outlive_sigterm,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the loader."""
        return {"steps_done": self._steps_done()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the steps that a checkpoint says are done."""
        self._remaining.start = state["steps_done"]
