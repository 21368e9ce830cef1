import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from model_export.metrics import (
    Lesions,
    Mark,
    auc,
    brightest,
    dice,
    expected_calibration_error,
    iou,
    match,
    match_marks,
    sensitivity_at_specificity,
    weighted_auc,
)

pytestmark = pytest.mark.unit

SCORES = np.random.default_rng(0).integers(0, 12, 200) / 12.0
LABELS = SCORES + np.random.default_rng(1).normal(0, 0.4, 200) > 0.5
WEIGHTS = np.random.default_rng(2).integers(0, 4, (3, 200)).astype(np.float64)
"""Scores with many ties; weights with zeros, as resampling gives them."""


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Draw boxes (top, left, bottom, right) on 20 x 20."""
    drawn = np.zeros((20, 20), np.bool_)
    for top, left, bottom, right in boxes:
        drawn[top:bottom, left:right] = True
    return drawn


def test_dice_and_iou_by_hand() -> None:
    assert dice(mask((0, 0, 2, 4)), mask((0, 2, 2, 6))) == pytest.approx(2 * 4 / 16)
    assert iou(2 * 4 / 16) == pytest.approx(4 / 12)
    assert dice(mask(), mask((0, 0, 2, 2))) == 0.0
    assert dice(mask(), mask()) == 1.0


def test_auc_by_hand_with_a_tie() -> None:
    # Pairs: .9>.2, .9>.5, .5>.2, .5=.5.
    assert auc([0.9, 0.5, 0.2, 0.5], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert np.isnan(auc([0.1, 0.2], [True, True]))


def test_weighted_auc_is_that_of_scikit_learn() -> None:
    expected = [roc_auc_score(LABELS, SCORES, sample_weight=row) for row in WEIGHTS]
    np.testing.assert_allclose(weighted_auc(SCORES, LABELS, WEIGHTS), expected)


@pytest.mark.parametrize("specificity", [0.5, 0.9, 0.95, 1.0])
def test_sensitivity_at_specificity_is_read_off_the_roc_of_scikit_learn(
    specificity: float,
) -> None:
    found = sensitivity_at_specificity(SCORES, LABELS, WEIGHTS, specificity)
    for row, value in zip(WEIGHTS, found, strict=True):
        false, true, _ = roc_curve(LABELS, SCORES, sample_weight=row, drop_intermediate=False)
        assert value == pytest.approx(true[1 - false >= specificity - 1e-9].max())


def test_sensitivity_at_specificity_needs_both_classes() -> None:
    ones = np.ones((1, 2))
    assert np.isnan(sensitivity_at_specificity([0.1, 0.2], [True, True], ones, 0.9)).all()
    assert np.isnan(sensitivity_at_specificity([0.1, 0.2], [False, False], ones, 0.9)).all()


def test_calibration_error_by_hand() -> None:
    # One bin: scores mean .5 where 3 of 4 are positive; another: .95 where the one is positive.
    scores, labels = [0.49, 0.50, 0.50, 0.51, 0.95], [True, True, True, False, True]
    found = expected_calibration_error(scores, labels, np.array([[1.0] * 5, [0, 0, 0, 0, 2.0]]))
    np.testing.assert_allclose(found, [(4 * 0.25 + 0.05) / 5, 0.05])
    assert expected_calibration_error([1.0], [True], np.ones((1, 1))) == 0.0


def test_the_brightest_share_is_of_the_breast() -> None:
    pixels = np.arange(400).reshape(20, 20)
    chosen = brightest(pixels, mask((0, 0, 10, 20)), 0.15)
    assert chosen.sum() == 30
    assert chosen[8, 10:].all() and chosen[9].all()


def test_lesions_touch_at_corners_and_specks_are_none() -> None:
    drawn = mask((0, 0, 2, 2), (2, 2, 4, 4), (8, 8, 9, 9), (10, 10, 12, 12))
    assert Lesions.of(drawn).areas.tolist() == [8, 1, 4]
    kept = Lesions.of(drawn, least_pixels=2)
    assert kept.areas.tolist() == [8, 4]
    assert kept.labels[8, 8] == 0
    assert kept.labels[11, 11] == 2


def test_a_hit_is_iou_of_a_tenth_or_a_centre_inside() -> None:
    lesion = mask((0, 0, 4, 4), (10, 10, 20, 20))
    small_inside = mask((14, 14, 16, 16))
    far = mask((5, 5, 7, 7))
    grazing = mask((0, 3, 2, 20))  # IoU 2 / 48, centre outside
    edge = mask((0, 2, 4, 8))  # IoU 8 / 32, centre outside
    found = match([(0.9, small_inside), (0.8, far), (0.7, grazing), (0.6, edge)], lesion)
    assert found.lesions == 2
    assert found.hits == (frozenset({1}), frozenset(), frozenset(), frozenset({0}))


def test_a_mark_lies_where_it_was_cut_out() -> None:
    lesions = Lesions.of(mask((10, 10, 14, 14)))
    square = np.ones((4, 4), np.bool_)
    found = match_marks([Mark(0.9, 10, 10, square), Mark(0.8, 1, 1, square)], lesions)
    assert found.hits == (frozenset({0}), frozenset())
