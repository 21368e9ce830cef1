from pathlib import Path

import numpy as np
import pytest

from model_export.datasets import cache, cdd_cesm, read_source
from service.imaging.breast import find_breast
from service.imaging.normalise import Normalisation
from service.imaging.resample import to_working_grid
from tests.model_export.samples import write_all, write_cbis_ddsm_800, write_cdd_cesm

pytestmark = pytest.mark.integration


def test_what_is_packed_is_what_the_service_would_see(tmp_path: Path) -> None:
    write_cdd_cesm(tmp_path)
    (sample,) = cdd_cesm.read(tmp_path)
    packed = cache.pack(sample, 0.8, Normalisation())
    mammogram = sample.to_mammogram()
    working = to_working_grid(
        mammogram,
        find_breast(mammogram.pixels),
        source_spacing_mm=sample.pixel_spacing_mm,
        working_mm=0.8,
        normalisation=Normalisation(),
    )
    np.testing.assert_allclose(packed.pixels / 255 * 1.25, working.pixels, atol=0.5 / 255 * 1.25)
    np.testing.assert_array_equal(packed.breast, working.breast)
    assert packed.lesion is not None
    assert set(np.unique(packed.lesion)) == {0, 1}
    # Half the resolution, a quarter of the pixels.
    assert packed.lesion.sum() == pytest.approx(np.pi * 10**2, rel=0.08)


def test_a_built_cache_gives_back_every_sample(tmp_path: Path) -> None:
    data, folder = write_all(tmp_path / "data"), tmp_path / "cache"
    sources = ("cdd-cesm", "mini-mias", "rsna-640")
    cache.build(data, folder, sources, 1.6, Normalisation())
    for source in sources:
        fresh = [cache.pack(one, 1.6, Normalisation()) for one in read_source(data, source)]
        loaded = cache.load(folder, source, 1.6)
        assert [one.name for one in loaded] == [one.name for one in fresh]
        for one, other in zip(loaded, fresh, strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)
            np.testing.assert_array_equal(one.breast, other.breast)
            assert (one.lesion is None) == (other.lesion is None)
            if one.lesion is not None and other.lesion is not None:
                np.testing.assert_array_equal(one.lesion, other.lesion)
            assert (one.has_lesion, one.annotation) == (other.has_lesion, other.annotation)
            assert one.lesion_fraction == other.lesion_fraction


def test_boxes_and_parts_survive_and_boxes_stay_around_their_lesions(tmp_path: Path) -> None:
    write_cbis_ddsm_800(tmp_path / "cbis-ddsm-800")
    cache.build(tmp_path, tmp_path / "cache", ["cbis-ddsm-800"], 2.4, Normalisation())
    first, second = cache.load(tmp_path / "cache", "cbis-ddsm-800", 2.4)
    assert (first.part, second.part) == ("train", "test")
    assert second.split == "test"
    for one in (first, second):
        assert one.lesion is not None
        rows, columns = np.nonzero(one.lesion)
        (box,) = one.boxes
        assert box.x - 1 <= columns.min() and columns.max() + 1 <= box.x + box.width + 1
        assert box.y - 1 <= rows.min() and rows.max() + 1 <= box.y + box.height + 1
        assert one.lesion.sum() > 0.5 * box.width * box.height


def test_another_normalisation_is_packed_anew(tmp_path: Path) -> None:
    write_cbis_ddsm_800(tmp_path / "cbis-ddsm-800")
    folder, wide = tmp_path / "cache", Normalisation(high_percentile=100.0)
    for spec in (Normalisation(), wide):
        cache.build(tmp_path, folder, ["cbis-ddsm-800"], 2.4, spec)
    one, other = (
        cache.load(folder, "cbis-ddsm-800", 2.4, spec)[0] for spec in (Normalisation(), wide)
    )
    assert (one.pixels != other.pixels).any()


def test_masks_stay_whole_numbers_and_keep_their_area() -> None:
    mask = np.zeros((90, 90), np.bool_)
    mask[30:60, 30:60] = True
    smaller = cache.resize_mask(mask, (40, 40))
    assert smaller.dtype == np.bool_
    assert smaller.mean() == pytest.approx(mask.mean(), rel=0.1)
