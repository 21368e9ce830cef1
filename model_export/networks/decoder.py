"""The way back up: from the deepest feature map to logits, with or without skips."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model_export.networks.blocks import squeeze
from model_export.networks.options import Skips


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
        """Give both joined; their sizes are the same."""
        lateral = self.lateral(finer)
        if self.gate is not None:
            lateral = lateral * torch.sigmoid(self.gate(value))
        return value + lateral


def merge(lateral: int, channels: int, skips: Skips) -> Merge | None:
    """Give what joins a map of `lateral` channels to a value of `channels`; None joins nothing."""
    return None if skips == "none" else Merge(lateral, channels, gated=skips == "gated")


class Level(nn.Module):
    """One step up: enlarge, merge what the encoder saw at that size, refine."""

    def __init__(self, up: nn.Module, merge: nn.Module | None, refine: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.merge = merge
        self.refine = refine

    def forward(self, value: Tensor, *finer: Tensor) -> Tensor:
        """Give the larger value; `finer` is the one map to merge, or nothing."""
        value = self.up(value)
        if self.merge is not None:
            value = self.merge(value, *finer)
        return self.refine(value)


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
        """Give logits of feature maps, finest first."""
        *finer, deepest = features
        value = self.squeeze(deepest)
        for level in self.levels:
            value = level(value, *finer[-1:])
            finer = finer[:-1]
        return self.tail(value)
