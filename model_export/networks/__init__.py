"""The nets, by the name that config files and contracts use."""

from collections.abc import Callable

from model_export.networks.seed import seed
from model_export.networks.segmenter import Maps, SegmentationNet
from model_export.networks.small import small

NETWORKS: dict[str, Callable[[], SegmentationNet]] = {"seed": seed, "small": small}

__all__ = ["NETWORKS", "Maps", "SegmentationNet"]
