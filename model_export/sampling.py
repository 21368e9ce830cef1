"""Which crops a batch holds. Every batch follows from (seed, epoch, step) alone, so a resumed run
sees exactly what an unbroken one would have seen."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from model_export.augmentation import View, intensities, warp
from model_export.config import Stream, TrainingConfig
from model_export.datasets.cache import Packed

SEEN_PIXELS = 30
"""Lesion pixels that must be in a crop for the crop to count as positive."""


class Batch(NamedTuple):
    """Tensors of N crops; the `drawn` first ones have masks.

    Attributes
    ----------
    tiles
        float32 (N, 1, rows, columns).
    lesion
        float32 0 or 1, (drawn, 1, rows, columns).
    lesion_weight
        float32 (drawn,): how much the mask counts.
    label, label_weight
        float32 (N,): the has-mask label and how much it counts.
    """

    tiles: Tensor
    lesion: Tensor
    lesion_weight: Tensor
    label: Tensor
    label_weight: Tensor


class _Crop(NamedTuple):
    tile: NDArray[np.float32]
    lesion: NDArray[np.uint8] | None
    lesion_weight: float
    label: float
    label_weight: float


class CropBatches(Dataset[Batch]):
    """The batches of one epoch, by step.

    Parameters
    ----------
    samples
        Training samples of all sources.
    config
        Of the run.
    epoch
        Counted from 0.
    """

    def __init__(self, samples: Sequence[Packed], config: TrainingConfig, epoch: int) -> None:
        self._config = config
        self._epoch = epoch
        self._streams = config.streams_of(epoch)
        self._strata: dict[tuple[str, bool], list[Packed]] = defaultdict(list)
        for sample in samples:
            self._strata[sample.source, sample.has_lesion].append(sample)

    def __len__(self) -> int:
        return self._config.steps_per_epoch

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self._config.seed, self._epoch, step))
        stream = self._streams[step % len(self._streams)]
        crops = [
            self._crop(self._draw(source, rng), stream, rng)
            for source, count in stream.mix.items()
            for _ in range(count)
        ]
        return _collate(crops)

    def _draw(self, source: str, rng: np.random.Generator) -> Packed:
        """Give a positive or a negative image with equal chances, where the source has both."""
        strata = [self._strata[source, has] for has in (False, True) if self._strata[source, has]]
        stratum = strata[rng.integers(len(strata))]
        return stratum[rng.integers(len(stratum))]

    def _crop(self, sample: Packed, stream: Stream, rng: np.random.Generator) -> _Crop:
        spec = self._config.augmentation
        view = _view(sample, stream, spec.rotation_degrees, spec.log_scale, rng)
        rows, columns = stream.rows, stream.columns
        matrix = view.matrix(rows, columns)
        breast = warp(sample.breast, matrix, rows, columns, mask=True)
        crop = warp(sample.pixels, matrix, rows, columns, mask=False)
        lesion = None
        if sample.lesion is not None:
            lesion = warp(sample.lesion, matrix, rows, columns, mask=True)
        maximum = self._config.normalisation.maximum
        tile = intensities(crop, breast, maximum, spec, rng)
        return _Crop(tile, lesion, self._mask_weight(sample), *self._label(sample, lesion, stream))

    def _mask_weight(self, sample: Packed) -> float:
        losses = self._config.losses
        diffuse = sample.lesion_fraction > losses.diffuse_from
        weight = losses.diffuse_weight if diffuse else 1.0
        return weight * (losses.circle_weight if sample.annotation == "circle" else 1.0)

    def _label(
        self, sample: Packed, lesion: NDArray[np.uint8] | None, stream: Stream
    ) -> tuple[float, float]:
        """Give the crop's has-mask label and its weight.

        Sources whose images are all positive teach the head through its cells only: a yes for
        every image would teach it to know the source.
        """
        losses = self._config.losses
        if lesion is not None:
            seen = float(int(lesion.sum()) >= SEEN_PIXELS)
            return seen, 1.0 if self._strata[sample.source, False] else 0.0
        weight = 1.0 if sample.has_lesion else losses.weak_negative
        return float(sample.has_lesion), weight * (1.0 if stream.whole else losses.weak_crop)


def _view(
    sample: Packed, stream: Stream, degrees: float, log_scale: float, rng: np.random.Generator
) -> View:
    height, width = sample.pixels.shape
    scale = float(np.exp(rng.uniform(-log_scale, log_scale)))
    if stream.whole:
        scale = min(scale, 1.05 * stream.rows / height, 1.05 * stream.columns / width)
        centre = (
            height / 2 + _slack(stream.rows / scale - height, rng),
            width / 2 + _slack(stream.columns / scale - width, rng),
        )
    else:
        centre = _centre(sample, min(stream.rows, stream.columns) / scale, rng)
    flips = (bool(rng.random() < 0.5), bool(rng.random() < 0.5))
    return View(centre, scale, float(rng.uniform(-degrees, degrees)), flips)


def _slack(free: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(-0.5, 0.5)) * max(0.0, free)


def _centre(sample: Packed, side: float, rng: np.random.Generator) -> tuple[float, float]:
    """Choose lesion (half), near miss (a quarter) or background (a quarter), in image pixels."""
    kind = rng.random()
    if sample.lesion is None or kind >= 0.75 or not sample.lesion.any():
        return _pixel_of(sample.breast, rng)
    row, column = _pixel_of(sample.lesion, rng)
    reach = (0.0, 0.35) if kind < 0.5 else (0.4, 0.7)
    distance, angle = side * rng.uniform(*reach), rng.uniform(0, 2 * np.pi)
    height, width = sample.pixels.shape
    return (
        float(np.clip(row + distance * np.sin(angle), 0, height - 1)),
        float(np.clip(column + distance * np.cos(angle), 0, width - 1)),
    )


def _pixel_of(mask: NDArray[np.uint8], rng: np.random.Generator) -> tuple[float, float]:
    """Give a random pixel of a mask that is not empty."""
    where = np.flatnonzero(mask)
    row, column = divmod(int(where[rng.integers(where.size)]), mask.shape[1])
    return float(row), float(column)


def _collate(crops: Sequence[_Crop]) -> Batch:
    ordered = sorted(crops, key=lambda crop: crop.lesion is None)
    drawn = [crop for crop in ordered if crop.lesion is not None]
    masks = [crop.lesion for crop in drawn if crop.lesion is not None]
    rows, columns = ordered[0].tile.shape
    lesion = np.stack(masks) if masks else np.zeros((0, rows, columns), np.uint8)
    return Batch(
        tiles=torch.from_numpy(np.stack([crop.tile for crop in ordered])).unsqueeze(1),
        lesion=torch.from_numpy(lesion.astype(np.float32)).unsqueeze(1),
        lesion_weight=torch.tensor([crop.lesion_weight for crop in drawn]),
        label=torch.tensor([crop.label for crop in ordered]),
        label_weight=torch.tensor([crop.label_weight for crop in ordered]),
    )
