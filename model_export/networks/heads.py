"""The has-mask head: where in the tile the yes comes from, and how sure it is."""

from typing import cast

from torch import Tensor, nn

TOP_CELLS = 4
"""Cells of the activation map that make the logit. A fixed number, not a share: a lesion is as
large in a wide tile as in a narrow one."""


class HasMaskHead(nn.Module):
    """1x1 convolution on the encoder -> activation map -> mean of the top cells -> logit.

    Parameters
    ----------
    channels
        Of the encoder's deepest map.
    dropout
        Share of them that a training step leaves out: few images teach the head.
    """

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(dropout)
        self.project = nn.Conv2d(channels, 1, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Give the activation map, (N, 1, h, w), and the logit, (N, 1), of features (N, C, h, w).

        h * w must be at least `TOP_CELLS`.
        """
        activation = cast(Tensor, self.project(self.drop(features)))
        return activation, pool(activation)


def pool(activation: Tensor) -> Tensor:
    """Give the mean of the `TOP_CELLS` largest values of each map: (N, 1, h, w) -> (N, 1)."""
    top = activation.flatten(2).topk(TOP_CELLS, dim=2).values
    return top.mean(dim=2)
