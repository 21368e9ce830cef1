"""The nets: `build` makes one of its options, `pretrain` gives it what it starts training from."""

from typing import assert_never

from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from model_export.networks import imagenet
from model_export.networks.lite import LiteEncoder, lite
from model_export.networks.options import (
    LiteOptions,
    NetworkOptions,
    SeedOptions,
    SmallOptions,
    StagedOptions,
    UnetOptions,
)
from model_export.networks.seed import seed
from model_export.networks.segmenter import Maps, SegmentationNet
from model_export.networks.small import small
from model_export.networks.unet import unet

__all__ = [
    "LiteOptions",
    "Maps",
    "NetworkOptions",
    "SeedOptions",
    "SegmentationNet",
    "SmallOptions",
    "UnetOptions",
    "build",
    "pretrain",
]


def build(options: NetworkOptions) -> SegmentationNet:
    """Return a net with random weights."""
    match options:
        case LiteOptions():
            net = lite(options)
        case SmallOptions():
            net = small(options)
        case SeedOptions():
            net = seed(options)
        case UnetOptions():
            net = unet(options)
        case unknown:
            assert_never(unknown)
    if isinstance(options, StagedOptions) and options.weight_norm:
        for part in (net.encoder, net.decoder):
            _normalise_weights(part)
    return net


def pretrain(net: SegmentationNet, options: NetworkOptions) -> None:
    """Load into a net, in place, the weights that its options say training starts from, if any.

    Raises
    ------
    imagenet.PretrainedWeightsError
        They are absent, or not the known ones.
    """
    if imagenet.wanted(options):
        assert isinstance(net.encoder, LiteEncoder)
        imagenet.load(net.encoder)


def _normalise_weights(part: nn.Module) -> None:
    for module in list(part.modules()):
        if isinstance(module, nn.Conv2d):
            weight_norm(module)
        elif isinstance(module, nn.ConvTranspose2d):
            weight_norm(module, dim=1)
