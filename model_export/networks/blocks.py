"""The pieces that the nets are made of."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


class Join(nn.Module):
    """Puts maps of one size behind each other, channel after channel."""

    def forward(self, *values: Tensor) -> Tensor:
        """Return (N, sum of the channels, H, W)."""
        return torch.cat(values, dim=1)


def normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """Return a convolution and its batch norm."""
    norm = nn.BatchNorm2d(convolution.out_channels)
    return nn.Sequential(OrderedDict(conv=convolution, norm=norm))


def active(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """Return a convolution, batch norm, ReLU."""
    unit = normed(convolution)
    unit.add_module("relu", nn.ReLU(inplace=True))
    return unit


def conv(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution, batch norm, ReLU; the size changes only by `stride`."""
    return active(
        nn.Conv2d(
            inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
    )


def squeeze(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 1x1 convolution, batch norm, ReLU."""
    return active(nn.Conv2d(inputs, outputs, 1, bias=False))


def upsample(factor: int) -> nn.Upsample:
    """Return a nearest-neighbour resize."""
    return nn.Upsample(scale_factor=float(factor), mode="nearest")


def stretch(factor: int) -> nn.Upsample:
    """Return a linear resize, for logits."""
    return nn.Upsample(scale_factor=float(factor), mode="bilinear", align_corners=False)


def transposed(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    """Return a transposed convolution that multiplies the size by `stride`, batch norm, ReLU.

    Raises
    ------
    ValueError
        The kernel is not divisible by the stride: output pixels would get unequal numbers of
        contributions (checkerboard; Odena et al., "Deconvolution and checkerboard artifacts").
    """
    if kernel % stride:
        raise ValueError("kernel must be divisible by stride")
    return active(
        nn.ConvTranspose2d(
            inputs, outputs, kernel, stride=stride, padding=(kernel - stride) // 2, bias=False
        )
    )
