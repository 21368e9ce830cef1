"""The nets: `build` makes one of its options, `pretrain` gives it what it starts training from."""

from model_export.networks import imagenet
from model_export.networks.lite import LiteEncoder, lite
from model_export.networks.options import LiteOptions, NetworkOptions, SeedOptions, SmallOptions
from model_export.networks.seed import seed
from model_export.networks.segmenter import Maps, SegmentationNet
from model_export.networks.small import small

__all__ = [
    "LiteOptions",
    "Maps",
    "NetworkOptions",
    "SeedOptions",
    "SegmentationNet",
    "SmallOptions",
    "build",
    "pretrain",
]


def build(options: NetworkOptions) -> SegmentationNet:
    """Give a net with random weights."""
    match options:
        case LiteOptions():
            return lite(options)
        case SmallOptions():
            return small(options)
        case SeedOptions():
            return seed(options)


def pretrain(net: SegmentationNet, options: NetworkOptions) -> None:
    """Load into a net, in place, the weights that its options say training starts from, if any.

    Raises
    ------
    imagenet.PretrainedWeightsError
        They are absent, or not the known ones.
    """
    if isinstance(options, LiteOptions) and options.pretrained:
        assert isinstance(net.encoder, LiteEncoder)
        imagenet.load(net.encoder)
