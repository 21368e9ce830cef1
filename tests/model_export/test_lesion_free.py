from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.calibration import Asked, _films
from model_export.datasets import Sample, read_source
from model_export.datasets.cache import pack
from model_export.lesion_free import lesion_free_logit
from model_export.networks.heads import CELL
from model_export.score_threshold import NO_NEGATIVES, Scored, choose_score
from service.imaging.normalise import Normalisation
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from tests.model_export.samples import write_cbis_ddsm_800

pytestmark = pytest.mark.integration

CONTRACT = Session.open(BUNDLED_MODEL).contract
_OWN = CONTRACT.normalisation
assert isinstance(_OWN, Normalisation)
NORMALISATION: Normalisation = _OWN


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    write_cbis_ddsm_800(tmp_path / "cbis-ddsm-800")
    return next(iter(read_source(tmp_path, "cbis-ddsm-800")))


class _Head:
    """A session whose activation is 9 in the cells at a lesion and rises by row elsewhere."""

    def __init__(self, sample: Sample) -> None:
        packed = pack(sample, CONTRACT.spacing.working_mm, NORMALISATION)
        assert packed.lesion is not None
        rows, columns = np.nonzero(packed.lesion)
        self.lesion = np.s_[
            rows.min() // CELL : rows.max() // CELL + 1,
            columns.min() // CELL : columns.max() // CELL + 1,
        ]
        self.activation: NDArray[np.float32] = np.zeros(0, np.float32)

    def run(self, tile: NDArray[np.float32]) -> SimpleNamespace:
        assert tile.ndim == 4 and tile.max() <= NORMALISATION.maximum
        cells = (tile.shape[2] // CELL, tile.shape[3] // CELL)
        self.activation = np.repeat(np.arange(cells[0], dtype=np.float32), cells[1]).reshape(cells)
        self.activation[self.lesion] = 9e3
        return SimpleNamespace(activation=self.activation[np.newaxis])


def test_the_cells_around_lesions_do_not_count(sample: Sample) -> None:
    head = _Head(sample)
    logit = lesion_free_logit(cast(Session, head), CONTRACT, sample)
    assert logit is not None
    assert 0.0 < logit <= len(head.activation) - 1


def test_a_film_that_is_all_lesion_has_no_answer(sample: Sample) -> None:
    assert sample.lesion is not None
    everything = replace(sample, lesion=np.ones_like(sample.lesion))
    assert lesion_free_logit(cast(Session, _Head(sample)), CONTRACT, everything) is None


def test_nobody_drew_it_and_nothing_is_said(sample: Sample) -> None:
    label = replace(sample, lesion=None, boxes=(), annotation="image_label")
    assert lesion_free_logit(cast(Session, _Head(sample)), CONTRACT, label) is None


def test_films_without_their_lesions_set_the_scale_where_a_source_has_no_others() -> None:
    positive = [Scored("cbis-ddsm-800", True, score) for score in (0.999, 0.99, 0.3, 0.98)]
    without = [0.1, 0.02, 0.9, 0.01]
    asked = [Asked(one, None, free) for one, free in zip(positive, without, strict=True)]
    films = _films(asked)
    assert [film.score for film in films if not film.has_lesion] == without
    alone = choose_score(CONTRACT, positive, (0.5, "cbis-ddsm-800"))
    scaled = choose_score(CONTRACT, positive, (0.5, "cbis-ddsm-800"), films)
    assert alone.temperature == CONTRACT.score.temperature
    # Two of eight are wrong and sure: nothing so sure is right.
    assert scaled.temperature > 1.2 * alone.temperature
    youden = choose_score(CONTRACT, positive, None, films)
    assert youden.temperature == scaled.temperature
    # The threshold is a score, to four digits, and that image still reaches it.
    assert "finds 1.00 of 4, cbis-ddsm-800 spares 0.75 of 4" in youden.chosen_by


def test_a_source_with_images_of_both_kinds_needs_no_such_films() -> None:
    both = [Scored("mini-mias", True, 0.9), Scored("mini-mias", False, 0.2)]
    assert _films([Asked(one, None, 0.5) for one in both]) == []
    only = [Scored("cbis-ddsm-800", True, 0.9)]
    assert choose_score(CONTRACT, only).chosen_by == NO_NEGATIVES
