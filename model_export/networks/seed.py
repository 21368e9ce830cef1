"""The literal net of the project's source texts: 12.5 M parameters, 43 GFLOP a 640 tile."""

from torch import nn

from model_export.networks.blocks import transposed
from model_export.networks.decoder import Decoder, level
from model_export.networks.heads import HasMaskHead
from model_export.networks.options import SeedOptions
from model_export.networks.segmenter import SegmentationNet
from model_export.networks.staged import encoder


def seed(options: SeedOptions) -> SegmentationNet:
    """Build it with random weights; literal it is only with the default options.

    640x640x1 -> five halvings -> 20x20x512, the last max-pool replaced by dilated convolutions;
    nearest-neighbour resize + convolution up to 320x320x32; transposed convolution stride 2, then
    one of stride 1 that smooths its artefacts; 1-class sigmoid; no encoder-decoder skips.
    """
    upsampling = options.upsampling
    levels = [
        level(512, (512,), upsampling=upsampling),
        level(512, (128, 64), upsampling=upsampling),
        level(64, (32, 32), factor=4, upsampling=upsampling),
    ]
    tail = nn.Sequential(
        transposed(32, 16, kernel=4, stride=2),
        transposed(16, 8, kernel=3, stride=1),
        nn.Conv2d(8, 1, 1),
    )
    return SegmentationNet(
        encoder((32, 64, 128, 256, 512), options),
        Decoder(nn.Identity(), levels, tail),
        HasMaskHead(512, sees_mask=options.head_sees_mask),
    )
