from pathlib import Path

import numpy as np
import pytest

from model_export.datasets import cdd_cesm, mini_mias, rsna_640
from model_export.datasets.sample import Sample
from model_export.phantom import breast_phantom
from tests.model_export.samples import write_cdd_cesm, write_mini_mias, write_rsna_640

pytestmark = pytest.mark.integration

SHARED = Path(__file__).parents[4] / "shared" / "data"


def test_cdd_cesm_gives_outlines_and_inferred_spacing(tmp_path: Path) -> None:
    write_cdd_cesm(tmp_path)
    (sample,) = cdd_cesm.read(tmp_path)  # the one without an outline is left out
    assert (sample.patient, sample.laterality, sample.view_position) == ("P0", "L", "MLO")
    assert sample.pixel_spacing_mm == (0.4, 0.4)
    assert sample.pixels.dtype == np.uint16
    assert sample.lesion is not None
    rows, columns = np.nonzero(sample.lesion)
    assert (rows.mean(), columns.mean()) == pytest.approx((92, 56), abs=0.5)


def test_mini_mias_joins_the_findings_of_an_image(tmp_path: Path) -> None:
    write_mini_mias(tmp_path)
    samples = {sample.name: sample for sample in mini_mias.read(tmp_path)}
    assert [one.annotation for one in samples.values()] == [
        "normal",
        "circle",
        "circle",
        "pixel_mask",
        "image_label",
    ]
    assert [one.has_lesion for one in samples.values()] == [False, True, True, True, True]
    two = samples["mdb003"].lesion
    assert two is not None
    assert two[90, 60] and two[150, 90] and not two[90, 90]
    assert two.sum() == pytest.approx(np.pi * (12**2 + 20**2), rel=0.05)
    assert samples["mdb005"].lesion is None
    assert samples["mdb001"].patient == samples["mdb002"].patient
    assert (samples["mdb001"].laterality, samples["mdb002"].laterality) == ("R", "L")


def test_rsna_is_turned_upright_and_empty_frames_are_left_out(tmp_path: Path) -> None:
    write_rsna_640(tmp_path)
    upright, inverted = rsna_640.read(tmp_path)
    assert (upright.has_lesion, inverted.has_lesion) == (True, False)
    assert upright.pixels.shape == (640, 512)
    assert upright.lesion is None
    difference = np.abs(upright.pixels.astype(int) - inverted.pixels.astype(int))
    assert np.percentile(difference, 99) < 0.03 * 65535


def test_a_lesion_must_fit_the_label() -> None:
    pixels = breast_phantom(32).astype(np.uint16)
    with pytest.raises(ValueError, match="empty exactly"):
        Sample("x", "a", "1", pixels, (1, 1), True, "normal", np.zeros((32, 32), np.bool_))


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is absent")
def test_the_real_sets_are_read_whole() -> None:
    assert sum(1 for _ in cdd_cesm.read(SHARED / "cdd-cesm")) == 259
    films = list(mini_mias.read(SHARED / "mini-mias"))
    assert len(films) == 194
    assert sum(film.has_lesion for film in films) == 68
