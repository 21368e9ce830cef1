"""The encoder of the seed and of its smaller copy: a stage for every size."""

from collections.abc import Iterable

from torch import Tensor, nn

from model_export.networks.blocks import conv

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
        """Give the outputs of the last stages, finest first."""
        outputs = []
        for stage in self.stages:
            value = stage(value)
            outputs.append(value)
        return tuple(outputs[-self.wanted :])


def encoder(widths: Widths) -> StagedEncoder:
    """Give five halvings up to 1/32, the last stage dilated, not pooled."""
    stem, second, third, fourth, last = widths
    stages = [
        nn.Sequential(conv(1, stem, stride=2), conv(stem, stem), conv(stem, stem)),
        nn.Sequential(nn.MaxPool2d(2), conv(stem, second), conv(second, second)),
        nn.Sequential(nn.MaxPool2d(2), conv(second, third), conv(third, third)),
        nn.Sequential(nn.MaxPool2d(2), conv(third, fourth), conv(fourth, fourth)),
        nn.Sequential(
            nn.MaxPool2d(2),
            conv(fourth, last),
            conv(last, last),
            conv(last, last, dilation=2),
            conv(last, last, dilation=2),
        ),
    ]
    return StagedEncoder(stages, wanted=1)
