"""Crops as training has them, for a probe of what gives their label away."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.config import TrainingConfig
from model_export.datasets.cache import Packed
from model_export.sampling.batches import Crop, CropBatches

FUTILE = 20
"""Crops drawn at most for each one that is wanted; fewer come back then."""


def _is_drawn_and_taught(crop: Crop) -> bool:
    return crop.lesion is not None and crop.label_weight > 0


def tiles_as_sampled(
    samples: Sequence[Packed], config: TrainingConfig, count: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[str], list[str]]:
    """Return crops as the first epoch's first stream of crops has them, for a leak probe.

    Only crops that teach the has-mask label and whose label is drawn, not weak: lesions, near
    misses, background.

    Parameters
    ----------
    samples
        Of one split, all sources.
    count
        Crops wanted; fewer come back where the data hold no such crops.

    Returns
    -------
    float32 tiles (count, rows, columns); bool labels (count,); the source and the patient of each.

    Raises
    ------
    ValueError
        The first epoch has no stream of crops, or no crop of it teaches.
    """
    stream = next((one for one in config.streams_of(0) if not one.whole), None)
    if stream is None:
        raise ValueError("the config has no stream of crops")
    drawn = {one.source for one in samples if one.lesion is not None}
    mix = {source: share for source, share in stream.mix.items() if source in drawn}
    stream = stream.model_copy(update={"mix": mix})
    batches = CropBatches(samples, config, 0)
    rng = np.random.default_rng(config.seed)
    taught: list[Crop] = []
    for _ in range(FUTILE * count // max(1, stream.batch)):
        taught += [one for one in batches.crops(stream, rng) if _is_drawn_and_taught(one)]
        if len(taught) >= count:
            break
    if not taught:
        raise ValueError("no crop teaches the has-mask label")
    kept = taught[:count]
    return (
        np.stack([crop.tile for crop in kept]),
        np.array([crop.label > 0 for crop in kept]),
        [crop.source for crop in kept],
        [crop.patient for crop in kept],
    )
