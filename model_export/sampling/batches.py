"""Which crops a batch holds.

Every batch follows from (seed, epoch, step) alone, so a resumed run sees exactly what an unbroken
one would have seen.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from model_export.config import Stream, TrainingConfig
from model_export.datasets.cache import Packed
from model_export.sampling import placement
from model_export.sampling.augmentation import View, intensities, warp
from model_export.sampling.matching import SEEN_PIXELS, Matcher, Matchers
from model_export.sampling.placement import FalsePositive
from model_export.sampling.targets import UNCERTAIN, target_of


class Batch(NamedTuple):
    """Tensors of N crops; the `drawn` first ones have masks.

    Attributes
    ----------
    tiles
        float32 (N, 1, rows, columns).
    lesion
        float32 0 or 1, (drawn, 1, rows, columns).
    counted
        float32 0 or 1, (drawn, 1, rows, columns): 0 where the mask's loss is told nothing.
    lesion_weight
        float32 (drawn,): how much the mask counts.
    label, label_weight
        float32 (N,): the has-mask label and how much it counts.
    unchanged
        float32 (N, 1, rows, columns): the same crops before their tone is changed, for a teacher;
        (0, 1, rows, columns) in a run without one.
    """

    tiles: Tensor
    lesion: Tensor
    counted: Tensor
    lesion_weight: Tensor
    label: Tensor
    label_weight: Tensor
    unchanged: Tensor


class Crop(NamedTuple):
    """One tile and what it teaches; `lesion`, as in `targets`, is None where nobody drew it.

    `unchanged` is the tile before its tone is changed, None in a run without a teacher.
    """

    source: str
    patient: str
    tile: NDArray[np.float32]
    lesion: NDArray[np.uint8] | None
    lesion_weight: float
    label: float
    label_weight: float
    unchanged: NDArray[np.float32] | None = None


class _Placed(NamedTuple):
    """A view of an image; `expected` is the only label that may teach the head, None any."""

    sample: Packed
    view: View
    label_weight: float
    expected: bool | None = None


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
    matchers
        Of the same samples and config; passed on from epoch to epoch, because they take seconds
        to make.
    false_positives
        On which `sampling.hard` of the crops are centred.
    """

    def __init__(
        self,
        samples: Sequence[Packed],
        config: TrainingConfig,
        epoch: int,
        matchers: Matchers | None = None,
        false_positives: Sequence[FalsePositive] = (),
    ) -> None:
        self._config = config
        self._epoch = epoch
        self._streams = config.streams_of(epoch)
        self._strata: dict[tuple[str, bool], list[Packed]] = defaultdict(list)
        for sample in samples:
            self._strata[sample.source, sample.has_lesion].append(sample)
        self._by_name = {(one.source, one.name): one for one in samples}
        self._hard: dict[str, list[FalsePositive]] = defaultdict(list)
        for false_positive in false_positives:
            if (false_positive.source, false_positive.name) in self._by_name:
                self._hard[false_positive.source].append(false_positive)
        self._targets: dict[tuple[str, str], NDArray[np.uint8]] = {}
        self._matchers = Matchers(samples, config) if matchers is None else matchers
        self._matchers.prepare(self._streams)

    def __len__(self) -> int:
        return self._config.steps_per_epoch

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self._config.seed, self._epoch, step))
        stream = self._streams[step % len(self._streams)]
        return _collate(self.crops(stream, rng))

    def crops(self, stream: Stream, rng: np.random.Generator) -> list[Crop]:
        """Draw the crops of one batch of a stream."""
        return [
            self._cut(self._place(source, stream, rng), stream, rng)
            for source, count in stream.mix.items()
            for _ in range(count)
        ]

    def _draw(self, source: str, rng: np.random.Generator) -> Packed:
        """Return a positive or a negative image with equal chances, where the source has both."""
        strata = [self._strata[source, has] for has in (False, True) if self._strata[source, has]]
        return _one_of(strata[rng.integers(len(strata))], rng)

    def _place(self, source: str, stream: Stream, rng: np.random.Generator) -> _Placed:
        """Choose an image and a view of it.

        Sources whose images are all positive teach the head through its cells, and through
        matched crops: a yes for every image would teach it to know the source.
        """
        spec = self._config.augmentation
        hard = self._hard.get(source)
        if hard and not stream.whole and rng.random() < self._config.sampling.hard:
            false_positive = hard[int(rng.integers(len(hard)))]
            view = placement.around(false_positive, stream, spec, rng)
            return _Placed(self._by_name[false_positive.source, false_positive.name], view, 0.0)
        sample = self._draw(source, rng)
        if sample.lesion is None:
            weight = self._weak(sample)
            weight *= 1.0 if stream.whole else self._config.losses.weak_crop
        else:
            weight = 1.0 if self._strata[source, False] else 0.0
        if stream.whole:
            return _Placed(sample, placement.whole(sample, stream, spec, rng), weight)
        matcher = None if sample.lesion is None else self._matchers.of(source, stream)
        if matcher is not None:
            return self._place_matched(sample, matcher, stream, rng)
        kind = placement.draw_kind(self._config.sampling, rng, positive=False)
        return _Placed(sample, placement.crop(sample, kind, stream, spec, rng), weight)

    def _weak(self, sample: Packed) -> float:
        if not sample.has_lesion:
            return self._config.losses.weak_negative
        return 1.0 if self._strata[sample.source, False] else 0.0

    def _place_matched(
        self, sample: Packed, matcher: Matcher, stream: Stream, rng: np.random.Generator
    ) -> _Placed:
        """Choose a lesion crop or one that looks like one; else background of the sample."""
        spec, chosen = self._config.sampling, rng.random()
        if chosen < matcher.negative_share:
            negative = matcher.negative(rng)
            if negative is not None:
                return _Placed(*negative, 1.0, expected=False)
        elif chosen >= 1.0 - spec.lesion - spec.near_miss:
            positive = matcher.positive(rng)
            return _Placed(*positive, float(matcher.teaches(*positive, rng)), expected=True)
        view = placement.crop(sample, "background", stream, self._config.augmentation, rng)
        return _Placed(sample, view, 0.0)

    def _cut(self, placed: _Placed, stream: Stream, rng: np.random.Generator) -> Crop:
        sample, rows, columns = placed.sample, stream.rows, stream.columns
        matrix = placed.view.matrix(rows, columns)
        breast = warp(sample.breast, matrix, rows, columns, mask=True)
        crop = warp(sample.pixels, matrix, rows, columns, mask=False)
        maximum = self._config.normalisation.maximum
        tile = intensities(crop, breast, maximum, self._config.augmentation, rng)
        taught = self._config.distillation is not None
        unchanged = _as_served(crop, breast, maximum) if taught else None
        whose = (sample.source, sample.patient)
        if sample.lesion is None:
            smoothing = self._config.losses.weak_smoothing
            weak = (1.0 - smoothing) * sample.has_lesion + 0.5 * smoothing
            return Crop(*whose, tile, None, 0.0, weak, placed.label_weight, unchanged)
        lesion = warp(self._target(sample), matrix, rows, columns, mask=True)
        label = int((lesion == 1).sum()) >= SEEN_PIXELS
        fits = placed.expected in (None, label)
        weight = placed.label_weight if fits else 0.0
        counts = self._mask_weight(sample)
        return Crop(*whose, tile, lesion, counts, float(label), weight, unchanged)

    def _target(self, sample: Packed) -> NDArray[np.uint8]:
        key = (sample.source, sample.name)
        if key not in self._targets:
            config = self._config
            self._targets[key] = target_of(sample, config.targets, config.working_mm)
        return self._targets[key]

    def _mask_weight(self, sample: Packed) -> float:
        losses = self._config.losses
        diffuse = sample.lesion_fraction > losses.diffuse_from
        weight = losses.diffuse_weight if diffuse else 1.0
        return weight * (losses.circle_weight if sample.annotation == "circle" else 1.0)


def _one_of(samples: Sequence[Packed], rng: np.random.Generator) -> Packed:
    return samples[int(rng.integers(len(samples)))]


def _as_served(
    crop: NDArray[np.uint8], breast: NDArray[np.uint8], maximum: float
) -> NDArray[np.float32]:
    """Return what the net is given of a crop when it serves."""
    values: NDArray[np.float32] = crop * np.float32(maximum / 255.0) * breast
    return values


def _collate(crops: Sequence[Crop]) -> Batch:
    ordered = sorted(crops, key=lambda crop: crop.lesion is None)
    drawn = [crop for crop in ordered if crop.lesion is not None]
    masks = [crop.lesion for crop in drawn if crop.lesion is not None]
    rows, columns = ordered[0].tile.shape
    lesion = np.stack(masks) if masks else np.zeros((0, rows, columns), np.uint8)
    unchanged = [crop.unchanged for crop in ordered if crop.unchanged is not None]
    seen = np.stack(unchanged) if unchanged else np.zeros((0, rows, columns), np.float32)
    return Batch(
        tiles=torch.from_numpy(np.stack([crop.tile for crop in ordered])).unsqueeze(1),
        lesion=torch.from_numpy((lesion == 1).astype(np.float32)).unsqueeze(1),
        counted=torch.from_numpy((lesion != UNCERTAIN).astype(np.float32)).unsqueeze(1),
        lesion_weight=torch.tensor([crop.lesion_weight for crop in drawn]),
        label=torch.tensor([crop.label for crop in ordered]),
        label_weight=torch.tensor([crop.label_weight for crop in ordered]),
        unchanged=torch.from_numpy(seen).unsqueeze(1),
    )
