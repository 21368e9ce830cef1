"""What the nets are trained by: the terms of the mask's loss, their sum, and the head's terms.

All take logits, (N, 1, H, W), and targets of the same shape holding 0 and 1. `weight`, (N,), says
how much each tile counts; a tile of weight 0 changes nothing.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model_export.config import MaskTerms
from model_export.networks.heads import CELL

EPSILON = 1.0
"""Pixels added to both sides of a ratio, so that an empty tile has a loss and a gradient."""

CELL_POSITIVE = 0.3
"""Share of a cell that must be lesion for the cell to be positive; cells between are left out."""


class MaskLoss(NamedTuple):
    """The weighted sum, with its gradient, and the value of each term in it before its weight."""

    total: Tensor
    terms: dict[str, Tensor]


def iou_batch(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Give 1 - soft IoU of the foreground of the whole batch taken as one image.

    Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation", 2016.
    """
    probability = torch.sigmoid(logits)
    each = weight.view(-1, 1, 1, 1)
    intersection = (each * probability * target).sum()
    union = (each * (probability + target - probability * target)).sum()
    return 1.0 - (intersection + EPSILON) / (union + EPSILON)


def iou_tile(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Give the weighted mean of 1 - soft IoU over the tiles that hold lesion; 0 if none does."""
    probability = torch.sigmoid(logits)
    intersection = (probability * target).flatten(1).sum(1)
    union = (probability + target - probability * target).flatten(1).sum(1)
    each = weight * (target.flatten(1).sum(1) > 0)
    loss = 1.0 - (intersection + EPSILON) / (union + EPSILON)
    return (each * loss).sum() / each.sum().clamp(min=1e-6)


def dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Give 1 - soft Dice of the foreground of the whole batch taken as one image.

    Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
    Segmentation", 2016; with sums, not squares, below the line. Over the batch, so that a false
    positive in a tile without lesion costs something.
    """
    probability = torch.sigmoid(logits)
    each = weight.view(-1, 1, 1, 1)
    intersection = (each * probability * target).sum()
    both = (each * (probability + target)).sum()
    return 1.0 - (2.0 * intersection + EPSILON) / (both + EPSILON)


def weighted_bce(logits: Tensor, target: Tensor, weight: Tensor, pos_weight: float) -> Tensor:
    """Give the mean cross-entropy over pixels, those of lesions counting `pos_weight` times."""
    loss = F.binary_cross_entropy_with_logits(
        logits, target, pos_weight=logits.new_tensor(pos_weight), reduction="none"
    )
    return (weight * loss.flatten(1).mean(1)).sum() / weight.sum().clamp(min=1e-6)


def segmentation(
    logits: Tensor, target: Tensor, weight: Tensor, weights: MaskTerms, pos_weight: float
) -> MaskLoss:
    """Give the sum of the terms, each times its weight; terms of weight 0 are not computed."""
    terms = {}
    if weights.bce:
        terms["bce"] = weighted_bce(logits, target, weight, pos_weight)
    if weights.iou_batch:
        terms["iou_batch"] = iou_batch(logits, target, weight)
    if weights.iou_tile:
        terms["iou_tile"] = iou_tile(logits, target, weight)
    if weights.dice:
        terms["dice"] = dice(logits, target, weight)
    parts = [getattr(weights, name) * term for name, term in terms.items()]
    detached = {name: term.detach() for name, term in terms.items()}
    return MaskLoss(torch.stack(parts).sum(), detached)


def has_mask(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Give the weighted mean cross-entropy of has-mask logits (N, 1) with labels (N,)."""
    loss = F.binary_cross_entropy_with_logits(logits[:, 0], label, reduction="none")
    return (weight * loss).sum() / weight.sum().clamp(min=1e-6)


def cells(activation: Tensor, target: Tensor, weight: Tensor, pos_weight: float) -> Tensor:
    """Teach the activation map where the lesion is, so that not the source makes the score.

    A cell is positive from `CELL_POSITIVE` lesion on, negative without any; of a lesion too small
    for that, the fullest cell is positive. Cells between do not count.

    Parameters
    ----------
    activation
        (N, 1, H / 32, W / 32).
    target
        (N, 1, H, W), 0 and 1.
    weight
        (N,).
    pos_weight
        How many times a positive cell counts.
    """
    share = F.avg_pool2d(target, CELL)
    fullest = share.amax(dim=(2, 3), keepdim=True)
    positive = (share >= CELL_POSITIVE) | ((share == fullest) & (share > 0))
    counts = (positive | (share == 0)).to(activation.dtype)
    loss = F.binary_cross_entropy_with_logits(
        activation,
        positive.to(activation.dtype),
        pos_weight=activation.new_tensor(pos_weight),
        reduction="none",
    )
    of_tile = (counts * loss).flatten(1).sum(1) / counts.flatten(1).sum(1).clamp(min=1.0)
    return (weight * of_tile).sum() / weight.sum().clamp(min=1e-6)
