"""The model that ships, and what it says of one real view: a change in preprocessing must show."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from service.inference.golden import check_golden
from service.inference.scheduler import TileScheduler
from service.models import BUNDLED_MODEL
from service.segmenter import Segmenter, SegmentOptions
from service.startup.models import open_model

pytestmark = pytest.mark.integration

FOLDER = BUNDLED_MODEL.parent

GOLDEN_VIEW = ("sfm-benign-0", "1-131.dcm")
GOLDEN_SCORE = 0.8311
GOLDEN_MASK_PIXELS = 25_717
"""Of model 0.5.0, ungated, on a CPU in float32. Other weights have new ones; nothing
else may."""


@pytest.fixture(scope="module")
def segmenter() -> Iterator[Segmenter]:
    with open_model() as segmenter:
        yield segmenter


def test_it_is_one_small_file_that_reproduces_its_golden_tile(segmenter: Segmenter) -> None:
    models = list(FOLDER.glob("*.onnx*"))
    assert models == [BUNDLED_MODEL]
    assert BUNDLED_MODEL.stat().st_size <= 12 * 2**20
    assert isinstance(segmenter.net, TileScheduler)
    assert check_golden(segmenter.net.session) <= segmenter.contract.golden.tolerance


def test_it_says_what_it_was_trained_on_and_for(segmenter: Segmenter) -> None:
    provenance = segmenter.contract.provenance
    assert set(provenance.training_data) == {"cbis-ddsm-800", "cdd-cesm"}
    assert "with attribution" in provenance.licence
    assert "Not a medical device" in provenance.intended_use
    assert provenance.evaluation


def test_its_card_and_licence_lie_beside_it(segmenter: Segmenter) -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert segmenter.contract.version in card
    assert re.search("not a medical device", card, re.IGNORECASE)
    assert "attribution" in (FOLDER / "LICENSE").read_text(encoding="utf-8").lower()


def test_one_real_view_gives_what_it_gave(segmenter: Segmenter, cbis_files: list[Path]) -> None:
    (view,) = [file for file in cbis_files if (file.parent.name, file.name) == GOLDEN_VIEW]
    findings = segmenter.segment(view.read_bytes(), options=SegmentOptions(gate=False))
    assert findings.has_mask.score == pytest.approx(GOLDEN_SCORE, abs=0.001)
    assert int(findings.mask.sum()) == pytest.approx(GOLDEN_MASK_PIXELS, rel=0.005)


@pytest.mark.parametrize("shape", [(5, 5), (64, 64), (30, 900), (900, 30)])
def test_the_smallest_images_are_answered_too(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    picture[shape[0] // 4 : shape[0] // 2 + 1, shape[1] // 4 : shape[1] // 2 + 1] = 180
    png = bytes(cv2.imencode(".png", picture)[1])
    findings = segmenter.segment(png, options=SegmentOptions(pixel_spacing_mm=(0.1, 0.1)))
    assert findings.mask.shape == shape
