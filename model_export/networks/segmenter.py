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
    """Encoder, decoder, has-mask head.

    Parameters
    ----------
    encoder
        (N, 1, H, W) -> the feature maps that the decoder wants, as a tuple, finest first; the
        last is (N, channels, H / 32, W / 32). Without skips it is the only one.
    decoder
        That tuple -> logits (N, 1, H, W).
    head
        Reads that map.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, head: HasMaskHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.apply(_initialise)
        head.initialise()

    def encode(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of tiles, float32, (N, 1, H, W), finest first, deepest last."""
        return cast(tuple[Tensor, ...], self.encoder(tiles))

    def decode(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the logits, (N, 1, H, W), of what `encode` gave."""
        return cast(Tensor, self.decoder(features))

    def forward(self, tiles: Tensor) -> Maps:
        """Segment tiles, float32, (N, 1, H, W); H and W are multiples of 32."""
        features = self.encode(tiles)
        logits = self.decode(features)
        activation, has_mask = self.head(features[-1], logits)
        return Maps(logits, activation, has_mask)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
