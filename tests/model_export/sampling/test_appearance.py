import numpy as np
import pytest

from model_export.sampling.appearance import APPEARANCE_FEATURES, Thumbnail
from model_export.sampling.augmentation import View, warp
from tests.model_export.samples import packed

pytestmark = pytest.mark.unit

SAMPLE = packed("cdd-cesm", "a", has_lesion=True)


@pytest.mark.parametrize("view", [View((46, 28)), View((80, 40), scale=1.2), View((60, 10), 0.9)])
def test_a_look_is_what_the_crop_itself_says(view: View) -> None:
    matrix = view.matrix(64, 64)
    breast = warp(SAMPLE.breast, matrix, 64, 64, mask=True) > 0
    tile = warp(SAMPLE.pixels, matrix, 64, 64, mask=False) / 255 * breast
    rim = np.concatenate([tile[0], tile[-1], tile[:, 0], tile[:, -1]])
    within = tile[breast]
    expected = (
        tile.mean(),
        tile.std(),
        breast.mean(),
        rim.mean(),
        np.percentile(tile, 99),
        tile.max(),
        within.mean(),
        within.std(),
    )
    appearance = Thumbnail(SAMPLE).appearance(view, 64, 64)
    assert appearance.shape == (APPEARANCE_FEATURES,)
    # The brightest pixel may lie in a block that the border halves.
    tolerance = np.where(np.arange(APPEARANCE_FEATURES) == 5, 0.2, 0.03)
    assert (np.abs(appearance - expected) < tolerance).all()


def test_the_lesion_of_a_crop_is_counted() -> None:
    thumbnail = Thumbnail(SAMPLE)
    assert SAMPLE.lesion is not None
    # At twice the size a disc has four times the pixels.
    seen = thumbnail.lesion_pixels(View((46, 28)), 64, 64)
    assert seen == pytest.approx(SAMPLE.lesion.sum(), rel=0.05)
    enlarged = thumbnail.lesion_pixels(View((46, 28), scale=2.0), 64, 64)
    assert enlarged == pytest.approx(4 * SAMPLE.lesion.sum(), rel=0.05)
    assert thumbnail.lesion_pixels(View((110, 40)), 64, 64) == 0


def test_only_drawn_samples_have_thumbnails() -> None:
    with pytest.raises(ValueError, match="mask"):
        Thumbnail(packed("rsna-640", "e", has_lesion=True, drawn=False))
