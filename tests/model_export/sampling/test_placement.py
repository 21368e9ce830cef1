from collections import Counter

import numpy as np
import pytest

from model_export.config import Augmentation, Sampling, Stream
from model_export.sampling import placement
from tests.model_export.samples import packed

pytestmark = pytest.mark.unit

CROPS = Stream(rows=32, columns=32, mix={"cdd-cesm": 1})
SAMPLE = packed("cdd-cesm", "a", has_lesion=True)
STILL = Augmentation(log_scale=0.0)


def distances(kind: placement.Kind, count: int = 200) -> np.ndarray:
    """Distances of centres to the middle of the lesion, (46, 28)."""
    rng = np.random.default_rng(0)
    views = [placement.crop(SAMPLE, kind, CROPS, STILL, rng) for _ in range(count)]
    return np.array([np.hypot(view.centre[0] - 46, view.centre[1] - 28) for view in views])


def test_lesions_are_shown_near_the_middle_and_near_misses_at_the_edge() -> None:
    lesion, near_miss, background = (
        distances(kind) for kind in ("lesion", "near_miss", "background")
    )
    # The disc's radius is 8; centres lie up to .35, or .4 to .7, of 32 px from a pixel of it.
    assert lesion.max() <= 8 + 0.35 * 32 + 0.5
    assert near_miss.min() >= 0.4 * 32 - 8 - 0.5
    assert near_miss.max() <= 0.7 * 32 + 8 + 0.5
    assert background.max() > 50


def test_kinds_come_as_often_as_wanted() -> None:
    rng = np.random.default_rng(0)
    spec = Sampling(lesion=0.5, near_miss=0.2)
    found = Counter(placement.draw_kind(spec, rng, positive=False) for _ in range(2000))
    assert found["lesion"] / 2000 == pytest.approx(0.5, abs=0.05)
    assert found["near_miss"] / 2000 == pytest.approx(0.2, abs=0.05)
    found = Counter(placement.draw_kind(spec, rng, positive=True) for _ in range(2000))
    assert found["near_miss"] / 2000 == pytest.approx(0.2 / 0.7, abs=0.05)
    assert "background" not in found


def test_a_whole_image_fits_its_tile() -> None:
    rng = np.random.default_rng(0)
    stream = Stream(rows=96, columns=96, mix={"cdd-cesm": 1}, whole=True)
    for _ in range(20):
        view = placement.whole(SAMPLE, stream, Augmentation(), rng)
        # 128 px must be shown in 96, of which a twentieth may be cut off.
        assert view.scale <= 1.05 * 96 / 128 + 1e-9
        assert abs(view.centre[0] - 64) <= max(0.0, 96 / view.scale - 128) / 2 + 1e-9


def test_centres_stay_in_the_image() -> None:
    rng = np.random.default_rng(0)
    wide = Stream(rows=256, columns=256, mix={"cdd-cesm": 1})
    for _ in range(50):
        row, column = placement.crop(SAMPLE, "near_miss", wide, STILL, rng).centre
        assert 0 <= row <= 127 and 0 <= column <= 127
