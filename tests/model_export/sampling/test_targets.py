from dataclasses import replace

import cv2
import numpy as np
import pytest

from model_export.config import Targets
from model_export.datasets.cache import Packed
from model_export.datasets.sample import LesionBox
from model_export.sampling.targets import UNCERTAIN, target_of

pytestmark = pytest.mark.unit


def sample() -> Packed:
    """Return an image of 120 x 80 with a disc of radius 12 at (60, 40), outlined and boxed."""
    lesion = np.zeros((120, 80), np.uint8)
    cv2.circle(lesion, (40, 60), 12, 1, cv2.FILLED)
    return Packed(
        source="cbis-ddsm-800",
        name="one",
        patient="P",
        has_lesion=True,
        annotation="pseudo_outline",
        pixels=np.full((120, 80), 100, np.uint8),
        breast=np.ones((120, 80), np.uint8),
        lesion=lesion,
        lesion_fraction=0.05,
        boxes=(LesionBox(28.0, 48.0, 25.0, 25.0),),
    )


def test_the_outline_is_taken_as_it_is() -> None:
    np.testing.assert_array_equal(target_of(sample(), Targets(), 0.4), sample().lesion)


def test_an_ellipse_fills_its_box_to_pi_quarters_and_touches_its_sides() -> None:
    one = replace(sample(), boxes=(LesionBox(10.0, 20.0, 40.0, 30.0),))
    target = target_of(one, Targets(shape="ellipse"), 0.4)
    rows, columns = np.nonzero(target)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 49, 20, 49)
    assert target.sum() == pytest.approx(np.pi / 4 * 40 * 30, rel=0.04)


def test_a_box_is_all_lesion_and_nothing_else_is() -> None:
    one = replace(sample(), boxes=(LesionBox(10.0, 20.0, 40.0, 30.0),))
    target = target_of(one, Targets(shape="box"), 0.4)
    assert target.sum() == 40 * 30 == target[20:50, 10:50].sum()


def test_without_boxes_the_outline_stays() -> None:
    one = replace(sample(), boxes=())
    np.testing.assert_array_equal(target_of(one, Targets(shape="box"), 0.4), one.lesion)


def test_near_the_border_nothing_is_said() -> None:
    target = target_of(sample(), Targets(rim_mm=1.6), 0.4)  # four pixels
    across = target[60, 20:61].tolist()  # the disc spans columns 28 to 52
    assert across == [0] * 4 + [2] * 8 + [1] * 17 + [2] * 8 + [0] * 4
    assert set(np.unique(target)) == {0, 1, UNCERTAIN}


def test_of_a_thin_lesion_the_inner_half_stays_certain() -> None:
    one = sample()
    thin = np.zeros_like(one.pixels)
    thin[40:80, 30:36] = 1
    target = target_of(replace(one, lesion=thin, boxes=()), Targets(rim_mm=4.0), 0.4)
    assert 0 < (target == 1).sum() < thin.sum()
    assert not (target[thin == 0] == 1).any()
