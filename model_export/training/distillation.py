"""What a net learns from another one, which sees the same crops before their tone is changed.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; that only the pupil is shown
the changed crop is from Xie et al., "Self-training with Noisy Student", 2020. The teacher answers
with the mean of its answers to the crop and to its mirror image. So the pupil learns to answer
alike at every contrast and to both sides, without being run twice; and, where the teacher also sees
each crop moved by part of a cell, wherever a film lies on the net's grid.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model_export.config import Distillation
from model_export.networks import NetworkOptions, build
from model_export.networks.heads import CELL, pool
from model_export.networks.segmenter import Maps
from model_export.training.checkpoints import start_from

LESION_PIXEL = 4.0
"""How many times more than a pixel of 0 one counts that either net takes for lesion."""


class Answer(NamedTuple):
    """A teacher's answer to N crops, all probabilities.

    Attributes
    ----------
    probability
        (N, 1, H, W).
    activation
        (N, 1, H / 32, W / 32).
    has_mask
        (N, 1).
    """

    probability: Tensor
    activation: Tensor
    has_mask: Tensor


class Teacher:
    """A trained net that is only asked.

    Not a part of the net that learns from it: it is in no checkpoint.

    Parameters
    ----------
    network
        Which net the teacher is.
    checkpoint
        Of the teacher's run; its averaged weights count.

    Raises
    ------
    FileNotFoundError
        There is no such checkpoint.
    ValueError
        It holds another net.
    """

    def __init__(self, network: NetworkOptions, checkpoint: Path, *, moved: bool = False) -> None:
        self._moved = moved
        self._net = build(network)
        start_from(self._net, checkpoint)
        self._net.eval().requires_grad_(False)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> Answer:
        """Return the mean answer to crops, float32 (N, 1, H, W), mirrored and moved ones too."""
        self._net.to(crops.device)
        rows, columns = crops.shape[2:]
        still = self._both(crops)
        probability, sure = still.probability, still.has_mask
        if self._moved:
            down, right = (int(step) for step in torch.randint(1, CELL, (2,)))
            moved = self._both(functional.pad(crops, (right, CELL - right, down, CELL - down)))
            seen = moved.probability[:, :, down : down + rows, right : right + columns]
            probability, sure = (probability + seen) / 2, (sure + moved.has_mask) / 2
        return Answer(probability, torch.sigmoid(still.activation), torch.sigmoid(sure))

    def _both(self, crops: Tensor) -> Answer:
        """Return the mean of crops and their mirror images; activation and has-mask are logits."""
        plain, turned = self._net(crops), self._net(torch.flip(crops, (3,)))
        probability = (
            torch.sigmoid(plain.logits.float())
            + torch.flip(torch.sigmoid(turned.logits.float()), (3,))
        ) / 2
        activation = (plain.activation.float() + torch.flip(turned.activation.float(), (3,))) / 2
        return Answer(probability, activation, pool(activation))


def distillation(maps: Maps, answer: Answer, weights: Distillation) -> dict[str, Tensor]:
    """Return the terms of what the pupil's maps are from the teacher's answer, each weighted."""
    logits = maps.logits.float()
    surer = torch.maximum(answer.probability, torch.sigmoid(logits.detach()))
    weight = 1.0 + LESION_PIXEL * surer
    mask = (
        functional.binary_cross_entropy_with_logits(
            logits, answer.probability, weight=weight, reduction="sum"
        )
        / weight.sum()
    )
    cells = functional.binary_cross_entropy_with_logits(maps.activation.float(), answer.activation)
    score = functional.binary_cross_entropy_with_logits(maps.has_mask.float(), answer.has_mask)
    return {
        "mask": weights.mask * mask,
        "cells": weights.cells * cells,
        "has_mask": weights.has_mask * score,
    }
