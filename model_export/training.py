"""The training loop: Lightning drives, this says what a step is and what a run leaves behind."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from model_export import losses
from model_export.config import TrainingConfig
from model_export.datasets import cache
from model_export.datasets.cache import Packed
from model_export.networks import build, pretrain
from model_export.sampling import Batch, CropBatches
from model_export.validation import validate


class SegmentationTask(lightning.LightningModule):
    """One net in training.

    Parameters
    ----------
    config
        Of the run.
    held_out
        Validation samples; none, and nothing is validated.
    """

    def __init__(self, config: TrainingConfig, held_out: Sequence[Packed] = ()) -> None:
        super().__init__()
        self.config = config
        self.net = build(config.network)
        pretrain(self.net, config.network)
        # With bfloat16 twice as fast on a CPU; the types of `to` do not know it.
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._held_out = held_out

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Give the loss of a batch. Tiles without masks skip the decoder."""
        weights = self.config.losses
        tiles = batch.tiles.contiguous(memory_format=torch.channels_last)
        features = self.net.encode(tiles)
        activation, has_mask = self.net.head(features[-1])
        activation, has_mask = activation.float(), has_mask.float()
        loss = weights.has_mask * losses.has_mask(has_mask, batch.label, batch.label_weight)
        self.log("loss/has_mask", loss.detach())
        drawn = len(batch.lesion)
        if drawn:
            logits = self.net.decode(tuple(one[:drawn] for one in features)).float()
            each = batch.lesion_weight
            pos_weight = weights.pixel_pos_weight.at(self._done())
            terms = self.config.mask_terms_of(self.current_epoch)
            mask_loss = losses.segmentation(logits, batch.lesion, each, terms, pos_weight)
            self.log("pos_weight", pos_weight)
            self.log_dict({f"loss/mask/{name}": one for name, one in mask_loss.terms.items()})
            cell_loss = losses.cells(
                activation[:drawn], batch.lesion, each, weights.cell_pos_weight
            )
            self.log_dict({"loss/mask": mask_loss.total.detach(), "loss/cells": cell_loss.detach()})
            loss = loss + mask_loss.total + weights.cells * cell_loss
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, *_: Any) -> None:
        """Take the figures once an epoch: the loader has a single empty step."""
        config = self.config
        figures = validate(self.net, self._held_out, config.normalisation.maximum, config.precision)
        self.log_dict(figures, batch_size=1)
        self.log("figure_of_merit", merit(figures), batch_size=1, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW; the rate warms up linearly and falls as a cosine, by the step alone."""
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(
            groups,
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _done(self) -> float:
        """Give the share of the run's steps that is done."""
        return min(1.0, self.global_step / self.config.steps)

    def _rate(self, step: int) -> float:
        done = min(1.0, step / self.config.steps)
        if done < self.config.warm_up:
            return (step + 1) / (self.config.warm_up * self.config.steps + 1)
        falling = (done - self.config.warm_up) / (1.0 - self.config.warm_up)
        return float(0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * falling)))


class Batches(lightning.LightningDataModule):
    """Gives the loader of the epoch that is about to run."""

    def __init__(self, config: TrainingConfig, samples: Sequence[Packed]) -> None:
        super().__init__()
        self._config = config
        self._samples = samples

    def train_dataloader(self) -> DataLoader[Batch]:
        """Give the batches of the trainer's current epoch."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        return DataLoader(
            CropBatches(self._samples, self._config, epoch),
            batch_size=None,
            num_workers=self._config.workers,
            prefetch_factor=8 if self._config.workers else None,
        )

    def val_dataloader(self) -> DataLoader[int]:
        """Give one step, in which the task goes through its validation samples itself."""
        return DataLoader([0], batch_size=None)  # type: ignore[arg-type]


def merit(figures: dict[str, float]) -> float:
    """Give the one number that chooses the checkpoint: the mean of the figures we promise."""
    names = ("cdd-cesm/dice", "mini-mias/sensitivity_at_1", "mini-mias/auc", "rsna-640/auc")
    known = [figures[name] for name in names if name in figures]
    return float(np.mean(known)) if known else 0.0


def train(config: TrainingConfig, data: Path, packed: Path, run: Path, *, resume: bool) -> None:
    """Train into one run folder: config, seed, git state, logs, checkpoints.

    Parameters
    ----------
    data
        Holds one folder a source.
    packed
        Folder of the packed samples; built where missing.
    run
        The run's folder.
    resume
        Go on from `run`/checkpoints/last.ckpt, bit for bit where the hardware allows.

    Raises
    ------
    FileNotFoundError
        There is nothing to resume.
    """
    torch.set_num_threads(config.threads)
    lightning.seed_everything(config.seed, workers=True)
    cache.build(data, packed, config.sources, config.working_mm, config.normalisation)
    samples = [
        sample
        for source in config.sources
        for sample in cache.load(packed, source, config.working_mm)
    ]
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
    (run / "git.txt").write_text(_git_state())
    last = run / "checkpoints" / "last.ckpt"
    if resume and not last.exists():
        raise FileNotFoundError(f"nothing to resume: no {last}")
    task = SegmentationTask(config, [one for one in samples if one.split == "validation"])
    batches = Batches(config, [one for one in samples if one.split == "train"])
    _trainer(config, run).fit(
        task, datamodule=batches, ckpt_path=last if resume else None, weights_only=False
    )


def _trainer(config: TrainingConfig, run: Path) -> lightning.Trainer:
    checkpoints = run / "checkpoints"
    callbacks: list[Callback] = [
        ModelCheckpoint(
            checkpoints,
            filename="last",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        ModelCheckpoint(
            checkpoints,
            filename="best",
            monitor="figure_of_merit",
            mode="max",
            enable_version_counter=False,
        ),
        EMAWeightAveraging(decay=config.ema_decay),
        LearningRateMonitor("step"),
        RichProgressBar(),
    ]
    return lightning.Trainer(
        default_root_dir=run,
        max_epochs=config.epochs,
        precision=config.precision,
        devices=config.devices,
        callbacks=callbacks,
        logger=[TensorBoardLogger(run, name="tensorboard"), CSVLogger(run, name="csv")],
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=config.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        # Odd, or streams that take turns would be logged in part.
        log_every_n_steps=25,
    )


def _git_state() -> str:
    """Give the commit and what differs from it; both empty outside a checkout."""
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--short"])
    results = [subprocess.run(one, capture_output=True, text=True) for one in commands]
    return "".join(result.stdout for result in results)
