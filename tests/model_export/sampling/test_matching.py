from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from model_export.config import Augmentation, Sampling, Stream
from model_export.datasets.cache import Packed
from model_export.sampling import matching, placement
from model_export.sampling.appearance import APPEARANCE_FEATURES, Thumbnail
from model_export.sampling.augmentation import View
from model_export.sampling.matching import Matcher, Matchers
from tests.model_export.samples import bright_half, packed_all
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.unit

CROPS = Stream(rows=64, columns=64, mix={"cdd-cesm": 1})
SPEC = Augmentation(log_scale=0.1)


SAMPLES = [bright_half(f"{seed}", seed) for seed in range(12)]


def appearances(pairs: list[tuple[Packed, View]]) -> np.ndarray:
    thumbnails = {sample.name: Thumbnail(sample) for sample in SAMPLES}
    return np.array([thumbnails[sample.name].appearance(view, 64, 64) for sample, view in pairs])


def told_apart(lesions: list[tuple[Packed, View]], others: list[tuple[Packed, View]]) -> float:
    """AUC of a linear model on the appearances."""
    features = np.concatenate([appearances(lesions), appearances(others)])
    labels = np.repeat([True, False], (len(lesions), len(others)))
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-9)
    model = LogisticRegression().fit(scaled, labels)
    return float(roc_auc_score(labels, model.predict_proba(scaled)[:, 1]))


@pytest.mark.long
@pytest.mark.slow
def test_matched_crops_cannot_be_told_apart_by_their_looks() -> None:
    matcher = Matcher(SAMPLES, CROPS, Sampling(), SPEC, seed=0)
    rng = np.random.default_rng(1)
    lesions, any_lesions, anywhere = [], [], []
    for number in range(300):
        sample = SAMPLES[number % len(SAMPLES)]
        view = placement.crop(sample, "lesion", CROPS, SPEC, rng)
        any_lesions.append((sample, view))
        if matcher.teaches(sample, view, rng):
            lesions.append((sample, view))
        anywhere.append((sample, placement.crop(sample, "background", CROPS, SPEC, rng)))
    found = [matcher.negative(rng) for _ in range(200)]
    negatives = [one for one in found if one is not None]
    assert len(lesions) > 40 and len(negatives) > 100
    assert told_apart(any_lesions, anywhere) > 0.8
    assert told_apart(lesions, negatives) < 0.65


def test_negatives_hold_no_lesion() -> None:
    matcher = Matcher(SAMPLES, CROPS, Sampling(), SPEC, seed=0)
    rng = np.random.default_rng(2)
    found = [matcher.negative(rng) for _ in range(50)]
    for sample, view in (one for one in found if one is not None):
        seen = Thumbnail(sample).lesion_pixels(view, 64, 64)
        assert seen < matching.SEEN_PIXELS


def test_nothing_matches_where_lesion_is_everywhere() -> None:
    full = [replace(one, lesion=np.ones_like(one.pixels)) for one in SAMPLES[:3]]
    matcher = Matcher(full, CROPS, Sampling(), SPEC, seed=0)
    rng = np.random.default_rng(0)
    assert matcher.negative(rng) is None
    assert not matcher.teaches(full[0], View((60, 60)), rng)


@pytest.mark.long
@pytest.mark.slow
def test_a_matcher_follows_from_its_seed() -> None:
    one, other = (Matcher(SAMPLES, CROPS, Sampling(), SPEC, seed=3) for _ in range(2))
    for seed in range(10):
        left, right = (each.negative(np.random.default_rng(seed)) for each in (one, other))
        assert (left is None) == (right is None)
        if left is not None and right is not None:
            assert left[0] is right[0] and left[1] == right[1]


def test_only_drawn_sources_are_matched_and_only_when_wanted() -> None:
    config = tiny_config()
    crops = config.phases[0].streams[0]
    wanted = config.model_copy(update={"sampling": Sampling(matched_negatives=True)})
    matchers = Matchers(packed_all(), wanted)
    assert matchers.of("cdd-cesm", crops) is matchers.of("cdd-cesm", crops) is not None
    assert matchers.of("rsna-640", crops) is None
    unwanted = config.model_copy(update={"sampling": Sampling(matched_negatives=False)})
    assert Matchers(packed_all(), unwanted).of("cdd-cesm", crops) is None


def test_overlap_weights_bring_the_means_together() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(800, 2, APPEARANCE_FEATURES))
    pairs[:, 0, :2] += 0.6
    overlap = matching._Overlap(pairs)
    means = []
    for side, lesion in ((0, True), (1, False)):
        chances = [overlap.chance(appearance, lesion=lesion) for appearance in pairs[:, side]]
        means.append(np.average(pairs[:, side], axis=0, weights=chances))
        assert 0.6 < np.mean(chances) <= 1.0
    # Before, the first two differ by 0.6.
    assert np.abs(means[0] - means[1]).max() < 0.12


@pytest.mark.slow
def test_as_many_negatives_teach_as_lesions() -> None:
    matcher = Matcher(SAMPLES, CROPS, Sampling(), SPEC, seed=0)
    rng = np.random.default_rng(5)
    lesions = [matcher.teaches(*matcher.positive(rng), rng) for _ in range(300)]
    negatives = [matcher.negative(rng) is not None for _ in range(150)]
    share = matcher.negative_share
    taught = (1 - share) * np.mean(lesions), share * np.mean(negatives)
    assert taught[0] == pytest.approx(taught[1], rel=0.25)
