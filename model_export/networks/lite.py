"""EfficientNet-Lite up to its 192 channels, and a small decoder: the default.

Tan & Le, "EfficientNet", 2019, in the Lite variant: no squeeze-and-excitation, ReLU6 for swish.
Left out is what only a classifier needs: the last block, the head's convolution, the classifier.
Convolutions that halve may see their input through a blur (Zhang, "Making Convolutional Networks
Shift-Invariant Again", 2019): what a pixel's step moves then changes little of the answer.
"""

from collections import OrderedDict
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_export.networks.blocks import squeeze, stretch
from model_export.networks.decoder import Decoder, level
from model_export.networks.heads import HasMaskHead
from model_export.networks.options import LiteOptions, Variant
from model_export.networks.segmenter import SegmentationNet

STAGES = (
    (1, 3, 1, 16),
    (6, 3, 2, 24),
    (6, 5, 2, 40),
    (6, 3, 2, 80),
    (6, 5, 1, 112),
    (6, 5, 2, 192),
)
"""Expansion, kernel, stride of the first block, channels."""

BLOCKS: dict[Variant, tuple[int, ...]] = {
    "lite0": (1, 2, 2, 3, 3, 4),
    "lite1": (1, 3, 3, 4, 4, 5),
}
"""How many of them in each stage."""

SKIPPED = (1, 2, 4)
"""The stages whose outputs, 24, 40 and 112 channels at 1/4, 1/8 and 1/16, are the skips."""

EPSILON, MOMENTUM = 1e-3, 0.05
"""Of the batch norms: the reference's, and a running mean that follows a fine-tuning in time (the
reference's .01 was meant for hundreds of thousands of steps)."""

BLUR = (0.25, 0.5, 0.25)
"""Along both axes, before a map is halved."""

RARE = -2.0
"""First bias of the logits: lesions are small, and so the first gradients are too."""


class SameConv2d(nn.Conv2d):
    """A convolution of stride 2 padded as TensorFlow's "SAME" pads an even size: more behind."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__(inputs, outputs, kernel, stride=2, groups=groups, bias=False)

    @property
    def around(self) -> tuple[int, int]:
        """Zeros before and behind, on both axes."""
        total = self.kernel_size[0] - self.stride[0]
        return total // 2, total - total // 2

    def forward(self, value: Tensor) -> Tensor:
        """Return half the size of an even one."""
        return super().forward(functional.pad(value, self.around * 2))


class BlurredConv2d(SameConv2d):
    """The same of an input that is blurred: one convolution, its kernel wider by two.

    Its parameters are those of the plain one, so that weights of either fit into both.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__(inputs, outputs, kernel, groups)
        blur = torch.tensor(BLUR)
        self.register_buffer("blur", torch.outer(blur, blur)[None, None], persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        """Return half the size of an even one."""
        before, behind = self.around
        padded = functional.pad(value, (before + 1, behind + 1) * 2)
        return functional.conv2d(padded, self._kernels(), stride=2, groups=self.groups)

    def as_plain(self) -> SameConv2d:
        """Return the plain convolution that does both."""
        inputs, outputs = self.in_channels, self.out_channels
        plain = SameConv2d(inputs, outputs, self.kernel_size[0] + 2, self.groups)
        plain.weight = nn.Parameter(self._kernels().detach())
        return plain

    def _kernels(self) -> Tensor:
        """Return the kernels, blurred: (outputs, inputs / groups, kernel + 2, kernel + 2)."""
        each = self.weight.flatten(0, 1)[:, None]
        wide = functional.conv2d(each, cast(Tensor, self.blur), padding=2)
        return wide.reshape(*self.weight.shape[:2], *wide.shape[2:])


def _unit(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    *,
    active: bool = True,
    blurred: bool = False,
) -> nn.Sequential:
    convolution: nn.Conv2d
    if stride == 2:
        convolution = (BlurredConv2d if blurred else SameConv2d)(inputs, outputs, kernel, groups)
    else:
        convolution = nn.Conv2d(
            inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False
        )
    norm = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=MOMENTUM)
    parts: dict[str, nn.Module] = {"conv": convolution, "norm": norm}
    if active:
        parts["relu"] = nn.ReLU6(inplace=True)
    return nn.Sequential(OrderedDict(parts))


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel by itself, narrow by 1x1; add the input where it fits."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        expansion: int,
        kernel: int,
        stride: int,
        *,
        blurred: bool = False,
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = nn.Identity() if expansion == 1 else _unit(inputs, wide, 1)
        self.depthwise = _unit(wide, wide, kernel, stride, groups=wide, blurred=blurred)
        self.project = _unit(wide, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, value: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride)."""
        narrow = cast(Tensor, self.project(self.depthwise(self.expand(value))))
        return value + narrow if self.residual else narrow


class LiteEncoder(nn.Module):
    """Grey tiles in [0, 1] -> maps of 24, 40, 112 (the skips, if any are wanted), 192 channels."""

    def __init__(self, variant: Variant, *, skips: bool, blurred: bool = False) -> None:
        super().__init__()
        ends = list(accumulate(BLOCKS[variant]))
        self.variant = variant
        self.finer = tuple(ends[stage] - 1 for stage in SKIPPED) if skips else ()
        self.stem = _unit(1, 32, 3, stride=2, blurred=blurred)
        self.blocks = nn.ModuleList()
        channels = 32
        for count, (expansion, kernel, stride, outputs) in zip(
            BLOCKS[variant], STAGES, strict=True
        ):
            for index in range(count):
                first = stride if index == 0 else 1
                self.blocks.append(
                    InvertedResidual(channels, outputs, expansion, kernel, first, blurred=blurred)
                )
                channels = outputs

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """Return the maps, finest first. The weights were made for values in [-1, 1]."""
        value = self.stem(tiles * 2.0 - 1.0)
        outputs = []
        for index, block in enumerate(self.blocks):
            value = block(value)
            if index in self.finer:
                outputs.append(value)
        return (*outputs, value)


def lite(options: LiteOptions) -> SegmentationNet:
    """Build it with random weights; `pretrain` puts those of ImageNet into the encoder.

    The decoder squeezes to 96 channels, goes up to 1/4 and has the logits enlarged from there:
    with lite0 about 2.5 M parameters, 6.35 GFLOP a 640 tile, a receptive field of 851 px.
    """
    skips = options.skips
    levels = [
        level(96, (64,), lateral=112, skips=skips),
        level(64, (32,), lateral=40, skips=skips),
        level(32, (32,), lateral=24, skips=skips),
    ]
    logits = nn.Conv2d(32, 1, 1)
    decoder = Decoder(squeeze(192, 96), levels, nn.Sequential(logits, stretch(4)))
    encoder = LiteEncoder(options.encoder, skips=skips != "none", blurred=options.blurred)
    head = HasMaskHead(192, options.head_dropout, sees_mask=options.head_sees_mask)
    net = SegmentationNet(encoder, decoder, head)
    assert logits.bias is not None
    nn.init.constant_(logits.bias, RARE)
    return net
