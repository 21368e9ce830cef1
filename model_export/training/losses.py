"""What the nets are trained by: the terms of the mask's loss, their sum, and the head's terms.

All terms of the mask take logits, (N, 1, H, W), and what is `Known`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model_export.config import MaskTerms
from model_export.networks.heads import CELL

EPSILON = 1.0
"""Pixels added to both sides of a ratio, so that an empty tile has a loss and a gradient."""

FILLED = 0.785
"""Share of a box that its lesion fills: an ellipse does, pi / 4."""

CELL_POSITIVE = 0.3
"""Share of a cell that must be lesion for the cell to be positive; cells between are left out."""


class MaskLoss(NamedTuple):
    """The weighted sum, with its gradient, and the value of each term in it before its weight."""

    total: Tensor
    terms: dict[str, Tensor]


class Known(NamedTuple):
    """What the mask's terms are told.

    Attributes
    ----------
    target
        (N, 1, H, W), 0 and 1.
    counted
        The same shape, 0 and 1: pixels of 0 change nothing.
    weight
        (N,): how much each tile counts; one of weight 0 changes nothing.
    """

    target: Tensor
    counted: Tensor
    weight: Tensor

    @classmethod
    def whole(cls, target: Tensor, weight: Tensor) -> "Known":
        """Make one in which every pixel counts."""
        return cls(target, torch.ones_like(target), weight)


def iou_batch(logits: Tensor, known: Known) -> Tensor:
    """Return 1 - soft IoU of the foreground of the whole batch taken as one image.

    Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation", 2016.
    """
    probability, target = torch.sigmoid(logits), known.target
    each = known.weight.view(-1, 1, 1, 1) * known.counted
    intersection = (each * probability * target).sum()
    union = (each * (probability + target - probability * target)).sum()
    return 1.0 - (intersection + EPSILON) / (union + EPSILON)


def iou_tile(logits: Tensor, known: Known) -> Tensor:
    """Return the weighted mean of 1 - soft IoU over the tiles that hold lesion; 0 if none does."""
    probability, target = torch.sigmoid(logits) * known.counted, known.target
    intersection = (probability * target).flatten(1).sum(1)
    union = (probability + target - probability * target).flatten(1).sum(1)
    each = known.weight * (target.flatten(1).sum(1) > 0)
    loss = 1.0 - (intersection + EPSILON) / (union + EPSILON)
    return (each * loss).sum() / each.sum().clamp(min=1e-6)


def dice(logits: Tensor, known: Known) -> Tensor:
    """Return 1 - soft Dice of the foreground of the whole batch taken as one image.

    Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
    Segmentation", 2016; with sums, not squares, below the line. Over the batch, so that a false
    positive in a tile without lesion costs something.
    """
    probability = torch.sigmoid(logits)
    each = known.weight.view(-1, 1, 1, 1) * known.counted
    intersection = (each * probability * known.target).sum()
    both = (each * (probability + known.target)).sum()
    return 1.0 - (2.0 * intersection + EPSILON) / (both + EPSILON)


def weighted_bce(logits: Tensor, known: Known, pos_weight: float) -> Tensor:
    """Return the mean cross-entropy over pixels, pixels of lesions counted `pos_weight` times."""
    loss = F.binary_cross_entropy_with_logits(
        logits, known.target, pos_weight=logits.new_tensor(pos_weight), reduction="none"
    )
    return _mean_of_tiles((loss * known.counted).flatten(1).mean(1), known.weight)


def box_outside(logits: Tensor, known: Known) -> Tensor:
    """Return the mean cross-entropy of the pixels outside all boxes, where no lesion is."""
    loss = F.softplus(logits) * known.counted * (1.0 - known.target)
    return _mean_of_tiles(loss.flatten(1).mean(1), known.weight)


def box_projection(logits: Tensor, known: Known) -> Tensor:
    """Return 1 - Dice of the largest probability of each row and column with the boxes'.

    Tian et al., "BoxInst: High-performance instance segmentation with box annotations", 2021. A
    lesion reaches all four sides of its box, so tiles must not be turned.
    """
    probability = torch.sigmoid(logits) * known.counted
    losses = [
        1.0
        - (2.0 * (one * other).flatten(1).sum(1) + EPSILON)
        / ((one**2 + other**2).flatten(1).sum(1) + EPSILON)
        for axis in (2, 3)
        for one, other in [(probability.amax(dim=axis), known.target.amax(dim=axis))]
    ]
    holds = known.weight * (known.target.flatten(1).sum(1) > 0)
    return _mean_of_tiles(torch.stack(losses).mean(0), holds)


def box_inside(logits: Tensor, known: Known) -> Tensor:
    """Return how far the mean probability inside the boxes is from `FILLED` of their area."""
    probability = torch.sigmoid(logits)
    area = known.target.flatten(1).sum(1)
    share = (probability * known.target).flatten(1).sum(1) / area.clamp(min=1.0)
    return _mean_of_tiles((share - FILLED) ** 2, known.weight * (area > 0))


def _mean_of_tiles(loss: Tensor, weight: Tensor) -> Tensor:
    return (weight * loss).sum() / weight.sum().clamp(min=1e-6)


TERMS: dict[str, Callable[[Tensor, Known], Tensor]] = {
    "iou_batch": iou_batch,
    "iou_tile": iou_tile,
    "dice": dice,
    "box_outside": box_outside,
    "box_projection": box_projection,
    "box_inside": box_inside,
}
"""Of the mask's loss, beside `weighted_bce`, by their names in `MaskTerms`."""


def segmentation(logits: Tensor, known: Known, weights: MaskTerms, pos_weight: float) -> MaskLoss:
    """Return the sum of the terms, each times its weight; terms of weight 0 are not computed."""
    terms = {}
    if weights.bce:
        terms["bce"] = weighted_bce(logits, known, pos_weight)
    terms |= {name: term(logits, known) for name, term in TERMS.items() if getattr(weights, name)}
    parts = [getattr(weights, name) * term for name, term in terms.items()]
    detached = {name: term.detach() for name, term in terms.items()}
    return MaskLoss(torch.stack(parts).sum(), detached)


def has_mask(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy of has-mask logits (N, 1) with labels (N,)."""
    loss = F.binary_cross_entropy_with_logits(logits[:, 0], label, reduction="none")
    return _mean_of_tiles(loss, weight)


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
    return _mean_of_tiles(of_tile, weight)
