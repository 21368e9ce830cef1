"""The encoder of the seed and of its smaller copy: a stage for every size."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import cast

from torch import Tensor, nn

from model_export.networks.blocks import conv, upsample
from model_export.networks.options import StagedOptions
from model_export.networks.pairs import PAIRS, turning

Widths = tuple[int, int, int, int, int]
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size."""


class StagedEncoder(nn.Module):
    """Stages one after the other, each at half the size of the one before.

    Parameters
    ----------
    stages
        Finest first.
    wanted
        How many of the last ones' outputs are given.
    """

    def __init__(self, stages: Iterable[nn.Module], wanted: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.wanted = wanted

    def forward(self, value: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the last stages, finest first."""
        outputs = []
        for stage in self.stages:
            value = stage(value)
            outputs.append(value)
        return tuple(outputs[-self.wanted :])


class CropTo(nn.Module):
    """Cuts a map to the size of another."""

    def forward(self, value: Tensor, other: Tensor) -> Tensor:
        """Return the rows and columns of `value` that `other` has too."""
        return value[..., : other.shape[-2], : other.shape[-1]]


class PooledBlock(nn.Module):
    """Runs layers at half the size, and brings the result back to the full one."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        # An odd size is rounded up, so that nothing of it is lost.
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.body = body
        self.up = upsample(2)
        self.crop_to = CropTo()

    def forward(self, value: Tensor) -> Tensor:
        """Return (N, channels of `body`, H, W)."""
        return cast(Tensor, self.crop_to(self.up(self.body(self.pool(value))), value))


def encoder(widths: Widths, options: StagedOptions, wanted: int = 1) -> StagedEncoder:
    """Return five halvings up to 1/32; the outputs of the last `wanted` sizes are given."""
    pair = PAIRS[options.block]
    stem, *others = widths
    stages: list[nn.Module] = [
        nn.Sequential(OrderedDict(halve=conv(1, stem, stride=2), body=pair(stem, stem)))
    ]
    for inputs, outputs in zip(widths, others, strict=False):
        stages.append(nn.Sequential(OrderedDict(halve=nn.MaxPool2d(2), body=pair(inputs, outputs))))
    stages[-1].add_module("wide", _wide(widths[-1], options))
    return StagedEncoder(stages, wanted)


def _wide(width: int, options: StagedOptions) -> nn.Module:
    """Return two more convolutions of 1/32 that see far."""
    dilation = 2 if options.last_stage == "dilated" else 1
    pair = turning if options.rotation_max else PAIRS[options.block]
    body = pair(width, width, dilation=dilation)
    return body if options.last_stage == "dilated" else PooledBlock(body)
