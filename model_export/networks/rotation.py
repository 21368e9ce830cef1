"""A convolution that finds its pattern whichever way it is turned, in quarter turns."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

TURNS = 4


class RotationMax(nn.Module):
    """3x3 convolution by a kernel in each of its quarter turns, batch norm, the best turn.

    The turns share the batch norm (Cohen & Welling, "Group equivariant convolutional networks",
    2016). It stands before the maximum, through which a negative scale could not be folded.
    """

    def __init__(self, inputs: int, outputs: int, *, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, value: Tensor) -> Tensor:
        """Return (N, outputs, H, W)."""
        conv = self.conv
        kernels = torch.cat([torch.rot90(conv.weight, turn, (2, 3)) for turn in range(TURNS)])
        bias = None if conv.bias is None else conv.bias.repeat(TURNS)
        each = functional.conv2d(value, kernels, bias, conv.stride, conv.padding, conv.dilation)
        # To the batch norm, a turn is one more sample.
        turns = cast(Tensor, self.norm(torch.cat(each.chunk(TURNS, dim=1)))).chunk(TURNS)
        return torch.stack(turns).amax(dim=0)
