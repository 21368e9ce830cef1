"""U-Net (Ronneberger et al., 2015) with batch norm, ELU and dropout: a baseline.

Changed are: five halvings in place of four, since head and service want a map at 1/32; padded
convolutions, so that no border is lost; a quarter of the widths and less, so that the file stays
under 12 MiB.
"""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from model_export.networks.blocks import Join, normed
from model_export.networks.decoder import Decoder, Level
from model_export.networks.heads import HasMaskHead
from model_export.networks.options import UnetOptions
from model_export.networks.segmenter import SegmentationNet
from model_export.networks.staged import StagedEncoder

WIDTHS = (16, 32, 64, 128, 128, 256)
"""Channels at 1, 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size."""


def unet(options: UnetOptions) -> SegmentationNet:
    """Build it with random weights: about 2.75 M parameters, 38 GFLOP a 640 tile."""
    stages = [_double(1, WIDTHS[0], options.dropout)]
    for inputs, outputs in pairwise(WIDTHS):
        double = _double(inputs, outputs, options.dropout)
        stages.append(nn.Sequential(OrderedDict(halve=nn.MaxPool2d(2), body=double)))
    levels = [
        Level(
            nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, stride=2)),
            Join(),
            _double(2 * outputs, outputs, options.dropout),
        )
        for inputs, outputs in pairwise(reversed(WIDTHS))
    ]
    decoder = Decoder(nn.Identity(), levels, nn.Conv2d(WIDTHS[0], 1, 1))
    encoder = StagedEncoder(stages, wanted=len(WIDTHS))
    head = HasMaskHead(WIDTHS[-1], sees_mask=options.head_sees_mask)
    return SegmentationNet(encoder, decoder, head)


def _double(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    first, second = _unit(inputs, outputs), _unit(outputs, outputs)
    return nn.Sequential(OrderedDict(first=first, dropout=nn.Dropout2d(dropout), second=second))


def _unit(inputs: int, outputs: int) -> nn.Sequential:
    unit = normed(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
    unit.add_module("elu", nn.ELU(inplace=True))
    return unit
