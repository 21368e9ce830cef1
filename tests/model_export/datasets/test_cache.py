import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.datasets import DatasetError, cache, cdd_cesm, read_source
from model_export.datasets.stamp import stamp_of
from model_export.phantom import breast_phantom
from service.imaging.breast import find_breast
from service.imaging.normalise import Normalisation
from service.imaging.resample import to_working_grid
from tests.model_export.samples import disc, write_all, write_cbis_ddsm_800, write_cdd_cesm

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


def write_own(data: Path, names: str = "ab") -> Path:
    """Write a plain folder `own` whose masks are discs, and return it."""
    own = data / "own"
    for part in ("images", "masks"):
        (own / part).mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(own / "images" / f"{name}.png"), breast_phantom(256))
        cv2.imwrite(str(own / "masks" / f"{name}.png"), disc(256, 92, 56, 20))
    return own


def packed_of(data: Path) -> list[cache.Packed]:
    folder = data.parent / "cache"
    cache.build(data, folder, ["own"], 1.6, Normalisation())
    return cache.load(folder, "own", 1.6)


def test_what_has_changed_is_packed_anew_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = write_own(tmp_path / "data")
    first = packed_of(tmp_path / "data")
    assert "anew" not in capsys.readouterr().out
    cv2.imwrite(str(own / "masks" / "a.png"), disc(256, 150, 56, 20))
    (own / "table.csv").write_text("name,patient,part\na,P1,test\nb,P1,test\n")
    one, other = packed_of(tmp_path / "data")
    assert capsys.readouterr().out.count("own is not what was packed: packing it anew") == 1
    assert (one.patient, one.split, other.split) == ("P1", "test", "test")
    assert first[0].lesion is not None and one.lesion is not None
    assert (one.lesion != first[0].lesion).any()
    (own / "images" / "b.png").unlink()
    (own / "masks" / "b.png").unlink()
    (own / "table.csv").unlink()
    assert [sample.name for sample in packed_of(tmp_path / "data")] == ["a"]


def test_what_has_not_changed_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_own(tmp_path / "data")
    (own / "again").symlink_to(own)  # A way round and round.
    packed_of(tmp_path / "data")
    (own / ".listing").write_text("as file managers leave it")
    monkeypatch.setattr(cache, "read_source", lambda *_: pytest.fail("read again"))
    assert len(packed_of(tmp_path / "data")) == 2


def test_another_data_folder_is_not_taken_for_the_one_that_was_packed(tmp_path: Path) -> None:
    write_own(tmp_path / "one" / "data")
    other = write_own(tmp_path / "other" / "data", "cd")
    cache.build(tmp_path / "one" / "data", tmp_path / "cache", ["own"], 1.6, Normalisation())
    cache.build(other.parent, tmp_path / "cache", ["own"], 1.6, Normalisation())
    assert [one.name for one in cache.load(tmp_path / "cache", "own", 1.6)] == ["c", "d"]


def test_a_source_that_is_gone_is_refused_though_it_was_packed(tmp_path: Path) -> None:
    own = write_own(tmp_path / "data")
    packed_of(tmp_path / "data")
    shutil.rmtree(own)
    with pytest.raises(DatasetError, match="no folder own/"):
        packed_of(tmp_path / "data")


def test_a_file_of_the_same_size_that_was_written_later_is_another_one(tmp_path: Path) -> None:
    own = write_own(tmp_path / "data")
    packed_of(tmp_path / "data")
    path = own / "masks" / "a.png"
    shutil.copy(own / "masks" / "b.png", path)
    before = stamp_of(own)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1000))
    assert stamp_of(own) != before


def test_masks_stay_whole_numbers_and_keep_their_area() -> None:
    mask = np.zeros((90, 90), np.bool_)
    mask[30:60, 30:60] = True
    smaller = cache.resize_mask(mask, (40, 40))
    assert smaller.dtype == np.bool_
    assert smaller.mean() == pytest.approx(mask.mean(), rel=0.1)
