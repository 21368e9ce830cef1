from dataclasses import replace

import numpy as np
import pytest

from model_export.datasets.sample import LesionBox
from model_export.detection import Detections
from model_export.evaluation.compare import compare, look
from model_export.evaluation.figures import figures
from model_export.evaluation.strata import strata
from model_export.froc import Candidates
from service.imaging.breast import Box
from service.inference.contract import Contract, Spacing
from tests.identity_net import identity_contract
from tests.model_export.answers import finding, lesion_sample

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def contract() -> Contract:
    return identity_contract(spacing=Spacing(working_mm=0.4, assumed_long_side_mm=240.0))


def test_a_perfect_answer_gets_a_dice_of_one_and_its_hit(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    found = compare(sample, finding(sample, sample.lesion, score=0.8), contract)
    drawn = found.outlined
    assert drawn is not None
    assert (found.dice, drawn.dice_gated, drawn.iou, drawn.mask_hits) == (1.0, 1.0, 1.0, True)
    assert drawn.candidates == Candidates((0.9,), (frozenset({0}),), 1)
    assert drawn.share == pytest.approx(sample.lesion.mean())
    assert drawn.dice_brightest is not None and 0 < drawn.dice_brightest < 1
    assert (found.score, found.tile_scores, found.selected) == (0.8, (0.8,), 1)
    assert 0 < found.mask_share < 0.2


def test_boxes_of_the_source_are_matched_where_it_has_some(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    # The lesion is 20 x 20 px at (20, 40).
    window = replace(
        finding(sample, sample.lesion, score=0.8).regions[0],
        box=Box(40, 20, 60, 40),
        pixels=np.ones((20, 20), np.bool_),
    )
    answer = replace(finding(sample, sample.lesion, score=0.8), regions=(window,))
    around = compare(sample, answer, contract).outlined
    assert around is not None and around.boxes == Detections((0.9,), (True,), 1)
    elsewhere = replace(sample, boxes=(LesionBox(60, 40, 20, 20), LesionBox(80, 40, 9, 9)))
    stated = compare(elsewhere, answer, contract).outlined
    assert stated is not None and stated.boxes == Detections((0.9,), (False,), 2)


def test_what_the_source_says_of_an_image_is_kept(contract: Contract) -> None:
    sample = replace(lesion_sample(), laterality="L", pathology="BENIGN", density="2")
    found = compare(sample, finding(sample, np.zeros_like(sample.lesion), 0.1), contract)
    assert (found.laterality, found.pathology, found.density) == ("L", "BENIGN", "2")
    assert found.breast == ("cdd-cesm", "1", "L")


def test_a_lesion_below_the_least_size_is_one_where_the_image_has_no_other(
    contract: Contract,
) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    speck, slip = np.zeros_like(sample.lesion), sample.lesion.copy()
    speck[25:27, 45:47] = speck[5, 5] = slip[5, 5] = True
    fine = replace(sample, pixel_spacing_mm=(0.4, 0.4))
    for lesion, pixels in ((speck, 4), (slip, 400)):
        answer = finding(fine, sample.lesion, score=0.8)
        drawn = compare(replace(fine, lesion=lesion), answer, contract).outlined
        assert drawn is not None and drawn.candidates.lesions == 1
        (only,) = drawn.lesions
        assert only.share == pytest.approx(pixels / lesion.size)
    strata([compare(replace(fine, lesion=speck), finding(fine, speck, 0.8), contract)])


def test_a_miss_counts_as_zero_and_a_no_empties_the_gated_mask(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    nothing = compare(sample, finding(sample, np.zeros_like(sample.lesion), 0.1), contract)
    assert nothing.outlined is not None
    assert (nothing.dice, nothing.outlined.mask_hits) == (0.0, False)
    refused = compare(sample, finding(sample, sample.lesion, 0.1), contract)
    assert refused.outlined is not None
    assert (refused.dice, refused.outlined.dice_gated, refused.outlined.iou_gated) == (
        1.0,
        0.0,
        0.0,
    )


def test_a_mere_candidate_is_no_hit_of_the_mask(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    answer = finding(sample, sample.lesion, 0.8)
    (region,) = answer.regions
    answer = replace(answer, regions=(replace(region, selected=False),))
    found = compare(sample, answer, contract)
    assert found.outlined is not None
    assert found.outlined.candidates.hits == (frozenset({0}),)
    assert (found.outlined.mask_hits, found.selected) == (False, 0)
    elsewhere = compare(sample, finding(sample, np.roll(sample.lesion, 40, axis=0), 0.8), contract)
    assert elsewhere.outlined is not None
    assert (elsewhere.outlined.mask_hits, elsewhere.selected) == (False, 1)


def test_a_normal_has_false_positives_and_no_dice(contract: Contract) -> None:
    sample = lesion_sample(has_lesion=False)
    mask = np.zeros_like(sample.pixels, dtype=np.bool_)
    mask[50:60, 10:20] = True
    found = compare(sample, finding(sample, mask, 0.8), contract)
    assert found.dice is None
    assert found.outlined is not None
    assert found.outlined.candidates == Candidates((0.9,), (frozenset(),), 0)


def test_lesions_are_measured_in_millimetres_and_specks_are_none(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    sample.lesion[100, 60] = True
    found = compare(sample, finding(sample, sample.lesion, 0.8), contract)
    assert found.outlined is not None
    (lesion,) = found.outlined.lesions
    assert lesion.diameter_mm == pytest.approx(2 * 20 * 0.4 / np.sqrt(np.pi))
    # Columns 20 to 40 of 0.4 mm; the breast begins at the left edge of the frame.
    assert lesion.border_mm == pytest.approx(20 * 0.4, abs=1.1)
    assert lesion.share == pytest.approx(400 / 128**2)


def test_a_lesion_beyond_the_breast_lies_at_its_border(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    sample.lesion[:] = False
    sample.lesion[2:6, 118:124] = True
    found = compare(sample, finding(sample, sample.lesion, 0.8), contract)
    assert found.outlined is not None
    assert found.outlined.lesions[0].border_mm == 0.0


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, -1.0)])
def test_correlation_is_counted_outside_lesions_only(
    contract: Contract, sign: float, expected: float
) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    answer = finding(sample, sample.lesion, 0.8)
    box = answer.lesion_map.box
    window = (slice(box.top, box.bottom), slice(box.left, box.right))
    seen = sample.pixels[window] / 65535.0
    answer.lesion_map.probability[:] = 0.5 + sign * 0.4 * np.clip(seen, 0.3, 0.6)
    answer.lesion_map.probability[sample.lesion[window]] = 0.5 - sign * 0.5
    found = compare(sample, answer, contract)
    assert found.correlation == pytest.approx(expected, abs=0.25)


def test_a_flat_map_or_a_lesion_nobody_drew_has_no_correlation(contract: Contract) -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    flat = finding(sample, np.zeros_like(sample.lesion), 0.8)
    assert compare(sample, flat, contract).correlation is None
    unlabelled = type(sample)("x", "a", "1", sample.pixels, (0.4, 0.4), True, "image_label")
    assert compare(unlabelled, finding(sample, sample.lesion, 0.8), contract).correlation is None


def test_of_an_image_without_truth_only_the_answer_is_kept() -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    found = look("views", "a", "1", finding(sample, sample.lesion, 0.8))
    assert found.has_lesion is None
    assert (found.marks, found.selected) == ((0.9,), 1)
    assert "views/sensitivity" not in figures([found], 0.5)
    assert figures([found], 0.5)["views/yes"].value == 1.0
