"""The has-mask head: where in the tile the yes comes from, and how sure it is."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

TOP_CELLS = 4
"""Cells of the activation map that make the logit. A fixed number, not a share: a lesion is as
large in a wide tile as in a narrow one."""

CELL = 32
"""Input pixels a side of one cell of the activation map."""

SPOT = 8
"""Input pixels a side of what counts as drawn: a cell is as sure as its surest spot."""

TRUST = 0.3
"""First weight of what the decoder drew, in logits of the cell per logit of the spot."""


class HasMaskHead(nn.Module):
    """1x1 convolution on the encoder -> activation map -> mean of the top cells -> logit.

    Parameters
    ----------
    channels
        Of the encoder's deepest map.
    dropout
        Share of them that a training step leaves out: few images teach the head.
    sees_mask
        The convolution reads one channel more: the decoder's logit of the cell's surest spot. A
        yes or no about a whole image then teaches the decoder too.
    """

    def __init__(self, channels: int, dropout: float = 0.0, *, sees_mask: bool = False) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(dropout)
        self.sees_mask = sees_mask
        self.project = nn.Conv2d(channels + sees_mask, 1, 1)

    def initialise(self) -> None:
        """Trust what the decoder drew from the first step on; the rest starts as in every net."""
        if self.sees_mask:
            nn.init.constant_(self.project.weight[:, -1:], TRUST)

    def forward(self, features: Tensor, logits: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the activation map and the has-mask logit.

        Parameters
        ----------
        features
            (N, C, h, w); h * w must be at least `TOP_CELLS`.
        logits
            (N, 1, 32 h, 32 w), of the decoder; None will do where the head does not see the mask.

        Returns
        -------
        (N, 1, h, w) and (N, 1).
        """
        seen = self.drop(features)
        if self.sees_mask:
            assert logits is not None
            seen = torch.cat((seen, surest(logits).to(seen.dtype)), dim=1)
        activation = cast(Tensor, self.project(seen))
        return activation, pool(activation)


def surest(logits: Tensor) -> Tensor:
    """Return the logit of each cell's surest spot: (N, 1, 32 h, 32 w) -> (N, 1, h, w)."""
    return functional.max_pool2d(functional.avg_pool2d(logits, SPOT), CELL // SPOT)


def pool(activation: Tensor) -> Tensor:
    """Return the mean of the `TOP_CELLS` largest values of each map: (N, 1, h, w) -> (N, 1)."""
    top = activation.flatten(2).topk(TOP_CELLS, dim=2).values
    return top.mean(dim=2)
