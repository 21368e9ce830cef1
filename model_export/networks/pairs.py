"""What the encoder's stages are made of: blocks that see as far as two 3x3 convolutions."""

from collections import OrderedDict
from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from model_export.networks.blocks import Join, conv, normed, squeeze
from model_export.networks.rotation import RotationMax

NARROWEST = 64
"""Channels from which inception blocks are used: a branch then has a multiple of 16, and the
early layers stay plain, as in the paper."""


class Residual(nn.Module):
    """Two convolutions, to which the input is added (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, *, dilation: int = 1) -> None:
        super().__init__()
        last = nn.Conv2d(outputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
        self.body = nn.Sequential(conv(inputs, outputs, dilation=dilation), normed(last))
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else normed(nn.Conv2d(inputs, outputs, 1, bias=False))
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, value: Tensor) -> Tensor:
        """Return (N, outputs, H, W)."""
        return cast(Tensor, self.relu(self.body(value) + self.shortcut(value)))


class Inception(nn.Module):
    """Four branches of a quarter of the channels each: 1x1, 3x3, two 3x3, pooled.

    Szegedy et al., "Going deeper with convolutions", 2015, with batch norm and the 5x5
    convolution split in two.
    """

    def __init__(self, inputs: int, outputs: int, *, dilation: int = 1) -> None:
        super().__init__()
        width = outputs // 4
        self.point = squeeze(inputs, width)
        self.one = nn.Sequential(squeeze(inputs, width), conv(width, width, dilation=dilation))
        self.two = nn.Sequential(
            squeeze(inputs, width),
            conv(width, width, dilation=dilation),
            conv(width, width, dilation=dilation),
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), squeeze(inputs, width))
        self.join = Join()

    def forward(self, value: Tensor) -> Tensor:
        """Return (N, outputs, H, W)."""
        branches = (self.point(value), self.one(value), self.two(value), self.pool(value))
        return cast(Tensor, self.join(*branches))


def plain(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Sequential:
    """Return two convolutions."""
    return nn.Sequential(
        conv(inputs, outputs, dilation=dilation), conv(outputs, outputs, dilation=dilation)
    )


def turning(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Sequential:
    """Return two convolutions, the second of which takes the best of its kernel's quarter turns."""
    rotate = RotationMax(outputs, outputs, dilation=dilation)
    # The gradient of a maximum asks for the maximum: it must not be written over.
    last = nn.Sequential(OrderedDict(rotate=rotate, relu=nn.ReLU()))
    return nn.Sequential(conv(inputs, outputs, dilation=dilation), last)


def inception(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Module:
    """Return an inception block, or two convolutions where its branches would be too thin."""
    make = Inception if outputs >= NARROWEST else plain
    return make(inputs, outputs, dilation=dilation)


PAIRS: dict[str, Callable[..., nn.Module]] = {
    "plain": plain,
    "residual": Residual,
    "inception": inception,
}
"""By the name of the option `block`: (inputs, outputs, *, dilation) -> block."""
