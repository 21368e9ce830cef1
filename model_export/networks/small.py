"""The seed's topology at half the widths, the tail at half resolution."""

from torch import nn

from model_export.networks.blocks import conv, squeeze, stretch, transposed, upsample
from model_export.networks.decoder import Decoder, Level
from model_export.networks.options import SmallOptions
from model_export.networks.segmenter import SegmentationNet
from model_export.networks.staged import encoder


def small(options: SmallOptions) -> SegmentationNet:
    """Build it with random weights: about 2.5 M parameters, 6.6 GFLOP a 640 tile.

    A 1x1 squeeze before the decoder; the last layers work at 320x320 and a linear resize brings
    the logits to 640x640. Channels stay multiples of 16 up to the last layer.
    """
    levels = [
        Level(upsample(2), None, conv(64, 64)),
        Level(upsample(2), None, nn.Sequential(conv(64, 32), conv(32, 32))),
        Level(upsample(2), None, conv(32, 32)),
    ]
    tail = nn.Sequential(
        transposed(32, 16, kernel=4, stride=2),
        transposed(16, 16, kernel=3, stride=1),
        nn.Conv2d(16, 1, 1),
        stretch(2),
    )
    decoder = Decoder(squeeze(256, 64), levels, tail)
    return SegmentationNet(encoder((16, 32, 64, 128, 256)), decoder, channels=256)
