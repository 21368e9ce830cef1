"""The way back up: from the deepest feature map to logits, with or without skips."""

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from model_export.networks.blocks import conv, squeeze, transposed, upsample
from model_export.networks.options import Skips, Upsampling


class Merge(nn.Module):
    """Adds a finer map of the encoder, squeezed to the decoder's channels.

    Parameters
    ----------
    lateral
        Channels of the encoder's map.
    channels
        Of the decoder's value at that size.
    gated
        Every pixel of the squeezed map is first multiplied by a number in (0, 1), which a 1x1
        convolution reads off the decoder's value.
    """

    def __init__(self, lateral: int, channels: int, *, gated: bool) -> None:
        super().__init__()
        self.lateral = squeeze(lateral, channels)
        self.gate = nn.Conv2d(channels, 1, 1) if gated else None

    def forward(self, value: Tensor, finer: Tensor) -> Tensor:
        """Return both joined; their sizes are the same."""
        lateral: Tensor = self.lateral(finer)
        if self.gate is not None:
            lateral = lateral * torch.sigmoid(self.gate(value))
        return value + lateral


class Level(nn.Module):
    """One step up: enlarge, merge what the encoder saw at that size, refine."""

    def __init__(self, up: nn.Module, merge: nn.Module | None, refine: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.merge = merge
        self.refine = refine

    def forward(self, value: Tensor, *finer: Tensor) -> Tensor:
        """Return the larger value; `finer` is the one map to merge, or nothing."""
        value = self.up(value)
        if self.merge is not None:
            value = self.merge(value, *finer)
        return cast(Tensor, self.refine(value))


def level(
    inputs: int,
    outputs: tuple[int, ...],
    *,
    factor: int = 2,
    lateral: int = 0,
    skips: Skips = "none",
    upsampling: Upsampling = "nearest",
) -> Level:
    """Return a level whose 3x3 convolutions have `outputs` channels.

    Parameters
    ----------
    inputs
        Channels of what is enlarged.
    factor
        By which it is, a power of two.
    lateral
        Channels of the encoder's map, which `skips` says how to merge.
    upsampling
        Transposed convolutions of stride 2 replace resize and first convolution.
    """
    first = outputs[0]
    convolutions = [conv(*widths) for widths in pairwise(outputs)]
    if upsampling == "nearest":
        up: nn.Module = upsample(factor)
        merged = inputs
        convolutions.insert(0, conv(inputs, first))
    else:
        widths = [inputs, *[first] * (factor.bit_length() - 1)]
        up = nn.Sequential(*(transposed(*pair, kernel=4, stride=2) for pair in pairwise(widths)))
        merged = first
    merge = None if skips == "none" else Merge(lateral, merged, gated=skips == "gated")
    return Level(up, merge, nn.Sequential(*convolutions))


class Decoder(nn.Module):
    """Squeeze, levels, tail.

    Parameters
    ----------
    squeeze
        Reads the deepest map.
    levels
        From the deepest up; the first of them merge, one map each, as far as there are maps.
    tail
        Makes the logits.
    """

    def __init__(self, squeeze: nn.Module, levels: Iterable[Level], tail: nn.Module) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.levels = nn.ModuleList(levels)
        self.tail = tail

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return logits of feature maps, finest first."""
        *finer, deepest = features
        value = self.squeeze(deepest)
        for level in self.levels:
            value = level(value, *finer[-1:])
            finer = finer[:-1]
        return cast(Tensor, self.tail(value))
