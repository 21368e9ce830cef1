"""What a training step is: one net, its losses, its optimiser."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import lightning
import numpy as np
import torch
from torch import Tensor

from model_export.config import TrainingConfig
from model_export.datasets.cache import Packed
from model_export.networks import build, pretrain
from model_export.networks.segmenter import Maps
from model_export.sampling.batches import Batch
from model_export.training import losses
from model_export.training.distillation import Teacher, distillation
from model_export.training.freezing import freeze, hold_frozen_norms
from model_export.training.precision import resolve
from model_export.training.validation import RATES, validate

MERITS = ("dice", *RATES, "auc")
"""The figures of a source that count where it has them; they choose the checkpoint."""


class SegmentationTask(lightning.LightningModule):
    """One net in training.

    Parameters
    ----------
    config
        Of the run.
    held_out
        Validation samples; nothing is validated if there are none.

    Raises
    ------
    ValueError
        `train_only` leaves nothing to train.
    """

    def __init__(self, config: TrainingConfig, held_out: Sequence[Packed] = ()) -> None:
        super().__init__()
        self.config = config
        self.net = build(config.network)
        if config.start_from is None:
            pretrain(self.net, config.network)
        freeze(self.net, config.train_only)
        hold_frozen_norms(self.net)
        # With bfloat16 twice as fast on a CPU; the types of `to` do not know it.
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._held_out = held_out
        taught = config.distillation
        self._teacher: Teacher | None = None
        if taught is not None:
            self._teacher = Teacher(
                taught.network or config.network, taught.teacher, moved=taught.moved
            )

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, all but the batch norms that are frozen."""
        super().train(mode)
        hold_frozen_norms(self.net)
        return self

    def on_train_batch_start(self, *_: Any) -> None:
        """Start dropout's random numbers anew: a checkpoint does not hold their state."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of a batch. Tiles without masks skip a decoder that the head ignores."""
        tiles = batch.tiles.contiguous(memory_format=torch.channels_last)
        features, drawn = self.net.encode(tiles), len(batch.lesion)
        everything = self.net.head.sees_mask or self._teacher is not None
        decoded = len(tiles) if everything else drawn
        logits = self.net.decode(tuple(one[:decoded] for one in features)) if decoded else None
        activation, has_mask = self.net.head(features[-1], logits)
        head = losses.has_mask(has_mask.float(), batch.label, batch.label_weight)
        self.log("loss/has_mask", head.detach())
        loss = self.config.losses.has_mask * head
        if logits is not None and drawn:
            seen = logits[:drawn].float()
            loss = loss + self._drawn_loss(seen, activation[:drawn].float(), batch)
        if logits is not None and self._teacher is not None:
            loss = loss + self._taught_loss(Maps(logits, activation, has_mask), batch.unchanged)
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def _drawn_loss(self, logits: Tensor, activation: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the tiles that have masks, and log its parts."""
        weights, each = self.config.losses, batch.lesion_weight
        pos_weight = weights.pixel_pos_weight.at(self._done())
        terms = self.config.mask_terms_of(self.current_epoch)
        known = losses.Known(batch.lesion, batch.counted, each)
        mask = losses.segmentation(logits, known, terms, pos_weight)
        cells = losses.cells(activation, batch.lesion, each, weights.cell_pos_weight)
        self.log("pos_weight", pos_weight)
        self.log_dict({f"loss/mask/{name}": one for name, one in mask.terms.items()})
        self.log_dict({"loss/mask": mask.total.detach(), "loss/cells": cells.detach()})
        return mask.total + weights.cells * cells

    def _taught_loss(self, maps: Maps, unchanged: Tensor) -> Tensor:
        """Return what the answers are from the teacher's, and log its parts."""
        assert self._teacher is not None and self.config.distillation is not None
        answer = self._teacher(unchanged.contiguous(memory_format=torch.channels_last))
        terms = distillation(maps, answer, self.config.distillation)
        self.log_dict({f"loss/taught/{name}": one.detach() for name, one in terms.items()})
        return torch.stack(list(terms.values())).sum()

    def validation_step(self, *_: Any) -> None:
        """Take the figures once an epoch: the loader has a single empty step."""
        maximum = self.config.normalisation.maximum
        precision = resolve(self.config.precision, self.device.type)
        figures = validate(self.net, self._held_out, maximum, precision)
        self.log_dict(figures, batch_size=1)
        self.log("figure_of_merit", merit(figures), batch_size=1, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW; the rate warms up linearly and falls as a cosine, by the step alone."""
        optimiser = torch.optim.AdamW(
            list(self._groups()),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _groups(self) -> Iterator[dict[str, Any]]:
        """Yield what is trained: the encoder at its own rate, vectors without weight decay."""
        config = self.config
        named = [(name, p) for name, p in self.net.named_parameters() if p.requires_grad]
        for part, factor in (("encoder", config.encoder_rate), ("rest", 1.0)):
            own = [p for name, p in named if name.startswith("encoder.") == (part == "encoder")]
            common = {"lr": factor * config.learning_rate}
            if decayed := [p for p in own if p.ndim > 1]:
                yield {"name": part, "params": decayed, **common}
            if plain := [p for p in own if p.ndim <= 1]:
                yield {"name": f"{part}_plain", "params": plain, "weight_decay": 0.0, **common}

    def _done(self) -> float:
        """Return the share of the run's steps that is done."""
        return min(1.0, self.global_step / self.config.steps)

    def _rate(self, step: int) -> float:
        done = min(1.0, step / self.config.steps)
        if done < self.config.warm_up:
            return (step + 1) / (self.config.warm_up * self.config.steps + 1)
        falling = (done - self.config.warm_up) / (1.0 - self.config.warm_up)
        return float(0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * falling)))


def merit(figures: dict[str, float]) -> float:
    """Return the one number that chooses the checkpoint: every source counts the same.

    Parameters
    ----------
    figures
        By "source/figure".

    Returns
    -------
    Mean over the sources of the mean of their `MERITS`; 0 where none has any.
    """
    known: dict[str, list[float]] = {}
    for name, value in figures.items():
        source, _, figure = name.rpartition("/")
        if figure in MERITS:
            known.setdefault(source, []).append(value)
    return float(np.mean([np.mean(values) for values in known.values()])) if known else 0.0
