"""Lesion-free crops that look like lesion crops to whoever cannot see a lesion.

Crops around lesions are brighter and fuller than crops anywhere; a net told "lesion or not" would
learn that first. So every negative is the lesion-free crop that looks most like some lesion crop
of its source, and a lesion crop that nothing looks like does not teach the label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KDTree
from sklearn.preprocessing import StandardScaler

from model_export.config import Augmentation, Sampling, Stream, TrainingConfig
from model_export.datasets.cache import Packed
from model_export.sampling import placement
from model_export.sampling.appearance import APPEARANCE_FEATURES, Appearance, Thumbnail
from model_export.sampling.augmentation import View

SEEN_PIXELS = 30
"""Lesion pixels that must be in a crop for the crop to count as positive."""

TRIES = 4
"""Lesion crops that one negative is tried to match with."""

REFERENCES = (30, 1500)
"""Lesion crops an image, and in all, from which a matcher learns how appearances vary."""

ZOOMS = (-0.67, 0.0, 0.67)
"""Of the stored lesion-free crops, in units of the largest change of log scale."""

STORED = (100, 8_000)
"""Lesion-free crops an image, and in all, at each zoom."""

TRIED = 1_000
"""Positions tried in an image for them: few hold no lesion where lesions are large."""

LOOKED_AT = 4
"""Stored crops that are turned and enlarged as the lesion crop is, to see which is the nearest."""

MARGIN = 1.1
"""How much larger than a stored crop the box is that must be free of lesion: crops turn."""


@dataclass(frozen=True, slots=True)
class _Store:
    """Lesion-free crops of one zoom: appearances, the number of their image, (n, 2) centres."""

    tree: KDTree
    images: NDArray[np.int64]
    centres: NDArray[np.float64]


class _Overlap:
    """Chances of use that make both sides' mean appearances agree; `pairs` is (n, 2, features)."""

    def __init__(self, pairs: NDArray[np.float64]) -> None:
        both = np.concatenate([pairs[:, 0], pairs[:, 1]])
        is_lesion = np.repeat([True, False], len(pairs))
        scaler = StandardScaler().fit(both)
        model = LogisticRegression().fit(scaler.transform(both), is_lesion)
        self._slope = model.coef_[0] / scaler.scale_
        self._offset = float(model.intercept_[0] - self._slope @ scaler.mean_)
        guesses = self._guess(both)
        weights = np.where(is_lesion, 1.0 - guesses, guesses)
        # Scaled so that few are turned away: only the tenth with the largest weights is clipped.
        self._full = float(np.quantile(weights, 0.9))

    def chance(self, appearance: Appearance, *, lesion: bool) -> float:
        guess = float(self._guess(appearance))
        return min(1.0, (1.0 - guess if lesion else guess) / self._full)

    def _guess(self, appearances: NDArray[np.float64]) -> NDArray[np.float64]:
        guesses: NDArray[np.float64] = 0.5 + 0.5 * np.tanh(
            (appearances @ self._slope + self._offset) / 2
        )
        return guesses


class Matcher:
    """Pairs lesion crops of one source with lesion-free ones.

    What a nearest neighbour leaves over, being a little darker than its pair more often than
    brighter, overlap weights take away: a lesion crop is used with a probability proportional to
    1 - p and its pair with p, where p is a logistic model's guess from the appearance that a crop
    is the lesion crop. Means then agree exactly (Li, Morgan and Zaslavsky, "Balancing covariates
    via propensity score weighting", 2018).

    Parameters
    ----------
    samples
        Of one source, with masks, some with lesions.
    stream
        Whose crops are matched.
    seed
        Of what the matcher learns; the same on every start of a run.
    """

    def __init__(
        self,
        samples: Sequence[Packed],
        stream: Stream,
        sampling: Sampling,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        self._stream, self._sampling, self._augmentation = stream, sampling, augmentation
        self._thumbnails = [Thumbnail(sample) for sample in samples]
        self._by_name = {one.sample.name: one for one in self._thumbnails}
        self._positives = [one for one in self._thumbnails if one.sample.has_lesion]
        rng = np.random.default_rng(seed)
        references = [self._reference(rng) for _ in range(_count(REFERENCES, self._positives))]
        seen = [(self._appearance(*one), one[1]) for one in references if self._sees(*one)]
        appearances = np.array([appearance for appearance, _ in seen]).reshape(
            -1, APPEARANCE_FEATURES
        )
        self._spread = (
            np.maximum(appearances.std(axis=0), 1e-6)
            if len(appearances)
            else np.ones(APPEARANCE_FEATURES)
        )
        self._stores = [self._store(zoom * augmentation.log_scale, rng) for zoom in ZOOMS]
        self._overlap = self._learn_overlap(seen)
        self.negative_share = self._balance(seen, len(references))

    def positive(self, rng: np.random.Generator) -> tuple[Packed, View]:
        """Return a crop on or beside a lesion, as they are drawn whether matched or not."""
        thumbnail, view = self._reference(rng)
        return thumbnail.sample, view

    def teaches(self, sample: Packed, view: View, rng: np.random.Generator) -> bool:
        """Say whether a lesion crop is to teach the label: a lesion-free one looks like it."""
        appearance = self._appearance(self._by_name[sample.name], view)
        like = self._nearest(appearance, view)
        return like is not None and self._keeps(appearance, rng, lesion=True)

    def negative(self, rng: np.random.Generator) -> tuple[Packed, View] | None:
        """Return a lesion-free crop that looks like some lesion crop; None where none was found."""
        for _ in range(TRIES):
            thumbnail, view = self._reference(rng)
            if not self._sees(thumbnail, view):
                continue
            like = self._nearest(self._appearance(thumbnail, view), view)
            if like is not None and self._keeps(like[2], rng, lesion=False):
                return like[0].sample, like[1]
        return None

    def _appearance(self, thumbnail: Thumbnail, view: View) -> Appearance:
        return thumbnail.appearance(view, self._stream.rows, self._stream.columns)

    def _sees(self, thumbnail: Thumbnail, view: View) -> bool:
        rows, columns = self._stream.rows, self._stream.columns
        return thumbnail.lesion_pixels(view, rows, columns) >= SEEN_PIXELS

    def _reference(self, rng: np.random.Generator) -> tuple[Thumbnail, View]:
        """Draw a crop as lesion crops are drawn for training."""
        thumbnail = self._positives[rng.integers(len(self._positives))]
        kind = placement.draw_kind(self._sampling, rng, positive=True)
        view = placement.crop(thumbnail.sample, kind, self._stream, self._augmentation, rng)
        return thumbnail, view

    def _nearest(
        self, appearance: Appearance, view: View
    ) -> tuple[Thumbnail, View, Appearance] | None:
        limit = max(self._augmentation.log_scale, 1e-6)
        zoom = int(np.argmin(np.abs(np.log(view.scale) / limit - np.array(ZOOMS))))
        store = self._stores[zoom]
        if store is None:
            return None
        wanted = (appearance / self._spread)[None]
        indices = store.tree.query(wanted, min(LOOKED_AT, len(store.images)), False)[0]
        best, found = self._sampling.tolerance, None
        for index in indices:
            thumbnail = self._thumbnails[store.images[index]]
            row, column = store.centres[index]
            there = replace(view, centre=(float(row), float(column)))
            own = self._appearance(thumbnail, there)
            away = float(np.linalg.norm((own - appearance) / self._spread))
            if away <= best and not self._sees(thumbnail, there):
                best, found = away, (thumbnail, there, own)
        return found

    def _keeps(self, appearance: Appearance, rng: np.random.Generator, *, lesion: bool) -> bool:
        return bool(rng.random() < self._chance(appearance, lesion=lesion))

    def _chance(self, appearance: Appearance, *, lesion: bool) -> float:
        return 1.0 if self._overlap is None else self._overlap.chance(appearance, lesion=lesion)

    def _store(self, log_scale: float, rng: np.random.Generator) -> _Store | None:
        scale = float(np.exp(log_scale))
        rows, columns = self._stream.rows, self._stream.columns
        most = _count(STORED, self._thumbnails)
        positions = []
        for number, thumbnail in enumerate(self._thumbnails):
            tried = rng.random((TRIED, 2)) * thumbnail.sample.pixels.shape
            free = _free(thumbnail.sample, tried, MARGIN * rows / scale, MARGIN * columns / scale)
            positions += [(number, float(row), float(column)) for row, column in tried[free]]
        if not positions:
            return None
        kept = [positions[index] for index in rng.permutation(len(positions))[:most]]
        appearances = [
            self._appearance(self._thumbnails[number], View((row, column), scale))
            for number, row, column in kept
        ]
        numbers = np.array([number for number, _, _ in kept])
        centres = np.array([position[1:] for position in kept])
        return _Store(KDTree(np.array(appearances) / self._spread), numbers, centres)

    def _balance(self, seen: Sequence[tuple[Appearance, View]], drawn: int) -> float:
        """Return the share of negatives with which as many of them teach as of lesion crops.

        So no source has more positives than another, and knowing the source tells nothing of the
        label.
        """
        chances = [
            self._chance(appearance, lesion=True)
            for appearance, view in seen
            if self._nearest(appearance, view)
        ]
        teaching = float(sum(chances)) / drawn
        found = 1.0 - (1.0 - teaching) ** TRIES
        return teaching / (teaching + found) if teaching else 0.0

    def _learn_overlap(self, seen: Sequence[tuple[Appearance, View]]) -> "_Overlap | None":
        found = [(appearance, self._nearest(appearance, view)) for appearance, view in seen]
        pairs = [(appearance, like[2]) for appearance, like in found if like is not None]
        # Of fewer pairs a logistic model learns noise.
        return _Overlap(np.array(pairs)) if len(pairs) >= 10 * APPEARANCE_FEATURES else None


class Matchers:
    """The matcher of every source for every stream of crops, made when first asked for.

    Parameters
    ----------
    samples
        Training samples of all sources.
    config
        Of the run.
    """

    def __init__(self, samples: Sequence[Packed], config: TrainingConfig) -> None:
        self._samples = samples
        self._config = config
        self._made: dict[tuple[str, int, int], Matcher | None] = {}

    def prepare(self, streams: Sequence[Stream]) -> None:
        """Make those of some streams, so that worker processes inherit them."""
        for stream in streams:
            if not stream.whole:
                for source in stream.mix:
                    self.of(source, stream)

    def of(self, source: str, stream: Stream) -> Matcher | None:
        """Return a matcher; None where nothing is to be matched, or nothing has a mask."""
        key = (source, stream.rows, stream.columns)
        if key not in self._made:
            self._made[key] = self._make(source, stream)
        return self._made[key]

    def _make(self, source: str, stream: Stream) -> Matcher | None:
        config = self._config
        own = [one for one in self._samples if one.source == source and one.lesion is not None]
        if not config.sampling.matched_negatives or not any(one.has_lesion for one in own):
            return None
        return Matcher(own, stream, config.sampling, config.augmentation, config.seed)


def _count(each_and_all: tuple[int, int], images: Sequence[Thumbnail]) -> int:
    return min(each_and_all[0] * len(images), each_and_all[1])


def _free(
    sample: Packed, centres: NDArray[np.float64], rows: float, columns: float
) -> NDArray[np.bool_]:
    """Say which boxes hold no lesion; centres (n, 2) in pixels."""
    assert sample.lesion is not None
    sums = cv2.integral(sample.lesion)
    half, limit = np.array([rows, columns]) / 2, np.array(sample.lesion.shape)
    top, left = np.clip(centres - half, 0, limit).astype(np.intp).T
    bottom, right = np.clip(np.ceil(centres + half), 0, limit).astype(np.intp).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    free: NDArray[np.bool_] = inside == 0
    return free
