"""The seed's topology at half the widths, the tail at half resolution."""

from torch import nn

from model_export.networks.blocks import squeeze, stretch, transposed
from model_export.networks.decoder import Decoder, level
from model_export.networks.heads import HasMaskHead
from model_export.networks.options import SmallOptions
from model_export.networks.segmenter import SegmentationNet
from model_export.networks.staged import encoder


def small(options: SmallOptions) -> SegmentationNet:
    """Build it with random weights: by default about 2.5 M parameters, 6.6 GFLOP a 640 tile.

    A 1x1 squeeze before the decoder; the last layers work at 320x320 and a linear resize brings
    the logits to 640x640. Channels stay multiples of 16 up to the last layer.
    """
    skips, upsampling = options.skips, options.upsampling
    levels = [
        level(64, (64,), upsampling=upsampling, lateral=128, skips=skips),
        level(64, (32, 32), upsampling=upsampling, lateral=64, skips=skips),
        level(32, (32,), upsampling=upsampling, lateral=32, skips=skips),
    ]
    tail = nn.Sequential(
        transposed(32, 16, kernel=4, stride=2),
        transposed(16, 16, kernel=3, stride=1),
        nn.Conv2d(16, 1, 1),
        stretch(2),
    )
    wanted = 1 if skips == "none" else 1 + len(levels)
    return SegmentationNet(
        encoder((16, 32, 64, 128, 256), options, wanted),
        Decoder(squeeze(256, 64), levels, tail),
        HasMaskHead(256, sees_mask=options.head_sees_mask),
    )
