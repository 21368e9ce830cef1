"""A run so small that it trains within a test."""

from model_export.config import Phase, Stream, TrainingConfig
from model_export.networks import SmallOptions

MIX = {"cdd-cesm": 2, "mini-mias": 2, "rsna-640": 1}


def tiny_config(epochs: int = 2) -> TrainingConfig:
    """Return two epochs of three steps of 5 crops of 64 px."""
    crops = Stream(rows=64, columns=64, mix=MIX)
    whole = Stream(rows=96, columns=64, mix=MIX, whole=True)
    return TrainingConfig(
        name="tiny",
        network=SmallOptions(),
        seed=5,
        working_mm=1.6,
        phases=(Phase(epochs=epochs, streams=(crops, whole)),),
        steps_per_epoch=3,
        learning_rate=1e-3,
        weight_decay=0.01,
        precision="32-true",
        threads=1,
        workers=0,
        validate_every=1,
    )
