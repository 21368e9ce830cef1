"""What every net gives, and how its parts are joined."""

from typing import NamedTuple, cast

from torch import Tensor, nn

from model_export.networks.heads import HasMaskHead


class Maps(NamedTuple):
    """Outputs for tiles of shape (N, 1, H, W).

    Attributes
    ----------
    logits
        (N, 1, H, W): before the sigmoid.
    activation
        (N, 1, H / 32, W / 32): pooled, it is `has_mask`.
    has_mask
        (N, 1): a logit.
    """

    logits: Tensor
    activation: Tensor
    has_mask: Tensor


class SegmentationNet(nn.Module):
    """Encoder, decoder without skips, has-mask head.

    Parameters
    ----------
    encoder
        (N, 1, H, W) -> (N, channels, H / 32, W / 32).
    decoder
        (N, channels, H / 32, W / 32) -> logits (N, 1, H, W).
    channels
        Of the encoder's output.
    """

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential, channels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = HasMaskHead(channels)
        self.apply(_initialise)

    def forward(self, tiles: Tensor) -> Maps:
        """Segment tiles, float32, (N, 1, H, W); H and W are multiples of 32."""
        features = self.encoder(tiles)
        activation, has_mask = self.head(features)
        return Maps(cast(Tensor, self.decoder(features)), activation, has_mask)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
