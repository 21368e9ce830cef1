"""The checkpoint that is called best: that of the epoch with the best figure of merit."""

import math
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from rich import get_console
from torch import Tensor

MERIT = "figure_of_merit"


class Best(ModelCheckpoint):
    """Keeps the epoch of the best figure of merit; one that is no number chooses nothing.

    Lightning would keep the first epoch, whatever its figure, and with it a net that has learned
    nothing where all of them are none.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, filename="best", monitor=MERIT, mode="max", enable_version_counter=False
        )
        self._refused = False

    @property
    def state_key(self) -> str:
        """Where its state lies in a checkpoint: where runs of before have it, too."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def check_monitor_top_k(
        self, trainer: lightning.Trainer, current: Tensor | None = None
    ) -> bool:
        """Say whether an epoch is the best so far."""
        if current is not None and not math.isfinite(float(current)):
            self._refused = True
            get_console().print(
                f"{MERIT} of epoch {trainer.current_epoch} is no number: it chooses nothing",
                style="yellow",
            )
            return False
        return super().check_monitor_top_k(trainer, current)

    def check_chosen(self) -> None:
        """Refuse a run none of whose epochs has a figure of merit.

        Raises
        ------
        ValueError
            There is none, and so no best checkpoint.
        """
        if self._refused and not self.best_model_path:
            raise ValueError(
                f"no epoch has a {MERIT} that is a number, so that none is the best; "
                "last.ckpt is there, and the curves show where it went wrong"
            )
