"""The literal net of the project's source texts: 12.5 M parameters, 43 GFLOP a 640 tile."""

from torch import nn

from model_export.networks.blocks import conv, encoder, transposed, upsample
from model_export.networks.segmenter import SegmentationNet


def seed() -> SegmentationNet:
    """Build it with random weights.

    640x640x1 -> five halvings -> 20x20x512, the last max-pool replaced by dilated convolutions;
    nearest-neighbour resize + convolution up to 320x320x32; transposed convolution stride 2, then
    one of stride 1 that smooths its artefacts; 1-class sigmoid; no encoder-decoder skips.
    """
    decoder = nn.Sequential(
        upsample(2),
        conv(512, 512),
        upsample(2),
        conv(512, 128),
        conv(128, 64),
        upsample(4),
        conv(64, 32),
        conv(32, 32),
        transposed(32, 16, kernel=4, stride=2),
        transposed(16, 8, kernel=3, stride=1),
        nn.Conv2d(8, 1, 1),
    )
    return SegmentationNet(encoder((32, 64, 128, 256, 512)), decoder, channels=512)
