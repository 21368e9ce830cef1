import numpy as np
import pytest

from model_export.metrics import (
    Candidates,
    auc,
    brightest,
    dice,
    froc_sensitivity,
    match,
    pieces,
)

pytestmark = pytest.mark.unit


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Draw boxes (top, left, bottom, right) on 20 x 20."""
    drawn = np.zeros((20, 20), np.bool_)
    for top, left, bottom, right in boxes:
        drawn[top:bottom, left:right] = True
    return drawn


def test_dice_by_hand() -> None:
    assert dice(mask((0, 0, 2, 4)), mask((0, 2, 2, 6))) == pytest.approx(2 * 4 / 16)
    assert dice(mask(), mask((0, 0, 2, 2))) == 0.0
    assert dice(mask(), mask()) == 1.0


def test_auc_by_hand_with_a_tie() -> None:
    # Pairs: .9>.2, .9>.5, .5>.2, .5=.5.
    assert auc([0.9, 0.5, 0.2, 0.5], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert np.isnan(auc([0.1, 0.2], [True, True]))


def test_the_brightest_share_is_of_the_breast() -> None:
    pixels = np.arange(400).reshape(20, 20)
    chosen = brightest(pixels, mask((0, 0, 10, 20)), 0.15)
    assert chosen.sum() == 30
    assert chosen[8, 10:].all() and chosen[9].all()


def test_pieces_touch_at_corners() -> None:
    assert len(pieces(mask((0, 0, 2, 2), (2, 2, 4, 4), (10, 10, 12, 12)))) == 2


def test_a_hit_is_iou_of_a_tenth_or_a_centre_inside() -> None:
    lesion = mask((0, 0, 4, 4), (10, 10, 20, 20))
    small_inside = mask((14, 14, 16, 16))
    far = mask((5, 5, 7, 7))
    grazing = mask((0, 3, 2, 20))  # IoU 2 / 48, centre outside
    found = match([(0.9, small_inside), (0.8, far), (0.7, grazing)], lesion)
    assert found.lesions == 2
    assert found.hits == (frozenset({1}), frozenset(), frozenset())


def test_froc_by_hand() -> None:
    hit, miss = frozenset({0}), frozenset[int]()
    images = [
        Candidates((0.9, 0.5), (miss, hit), 1),
        Candidates((0.8, 0.7), (miss, miss), 0),
        Candidates((0.6,), (hit,), 1),
        Candidates((0.4, 0.3), (hit, hit), 2),
    ]
    # In order: miss .9, miss .8, miss .7, hit .6, hit .5, hit .4, the same lesion again.
    assert froc_sensitivity(images, 0.5) == 0.0
    assert froc_sensitivity(images, 0.75) == pytest.approx(3 / 4)
    assert np.isnan(froc_sensitivity(images[1:2], 1.0))


def test_a_false_positive_over_the_limit_ends_the_search() -> None:
    hit, miss = frozenset({0}), frozenset[int]()
    images = [Candidates((0.9, 0.8, 0.7), (miss, miss, hit), 1)]
    assert froc_sensitivity(images, 1.0) == 0.0
    assert froc_sensitivity(images, 2.0) == 1.0
