"""What a run's checkpoints say of themselves; apart from `lineage`, which loads no Lightning."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from model_export.training.lineage import Lineage, stored_as


class SaysLineage(Callback):
    """Writes into every checkpoint of a run what its weights come from."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add it to what is saved."""
        checkpoint.update(stored_as(self._lineage))
