import cv2
import numpy as np
import pytest

from model_export.evaluation.gallery import KEPT, Gallery
from model_export.evaluation.pictures import GAP, HEIGHT, TRUTH, side_by_side
from tests.model_export.answers import finding, image_result, lesion_sample, positive

pytestmark = pytest.mark.unit

SAMPLE = lesion_sample()
LESION = SAMPLE.lesion
ANSWER = finding(SAMPLE, np.zeros((128, 128), np.bool_), 0.5)


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_the_worst_of_each_kind_are_kept_in_order() -> None:
    gallery = Gallery()
    for number in np.random.default_rng(0).permutation(20):
        image = image_result("m", str(number), True, number / 20, outlined=positive(number / 20))
        gallery.offer(image, ANSWER, LESION)
        gallery.offer(image_result("m", str(number), False, number / 20), ANSWER, None)
    kinds: dict[str, list[float]] = {}
    for case in gallery.cases():
        kinds.setdefault(case.kind, []).append(case.image.score)
    lowest = [number / 20 for number in range(KEPT)]
    assert kinds == {
        "lowest Dice": lowest,
        "lowest-scored positives": lowest,
        "highest-scored negatives": [(19 - number) / 20 for number in range(KEPT)],
    }


def test_an_image_without_truth_is_kept_as_such() -> None:
    gallery = Gallery()
    gallery.offer(image_result("views", "a", None, 0.4), ANSWER, None)
    assert [case.kind for case in gallery.cases()] == ["truth unknown"]


def test_a_picture_is_bounded_and_shows_what_was_drawn() -> None:
    assert LESION is not None
    plain = decoded(side_by_side(ANSWER, None))
    drawn = decoded(side_by_side(ANSWER, LESION))
    assert drawn.shape == plain.shape
    assert drawn.shape[0] <= HEIGHT and drawn.shape[1] <= 2 * HEIGHT + GAP
    near_truth = np.abs(drawn.astype(int) - TRUTH).sum(axis=2) < 120
    assert near_truth.sum() > 100
    assert not (np.abs(plain.astype(int) - TRUTH).sum(axis=2) < 120).any()


def test_an_outline_beyond_the_breast_widens_the_picture() -> None:
    assert LESION is not None
    far = np.zeros_like(LESION)
    far[0:4, 120:127] = True
    wide, narrow = decoded(side_by_side(ANSWER, far)), decoded(side_by_side(ANSWER, LESION))
    assert wide.shape[1] / wide.shape[0] > 1.2 * narrow.shape[1] / narrow.shape[0]


def test_heat_lies_where_the_map_is() -> None:
    assert LESION is not None
    hot = decoded(side_by_side(finding(SAMPLE, LESION, 0.9), None)).astype(int)
    cold = decoded(side_by_side(ANSWER, None)).astype(int)
    middle = (hot.shape[1] + GAP) // 2
    changed = np.abs(hot - cold)[:, middle:].sum(axis=2) > 90
    box = ANSWER.lesion_map.box
    rows, columns = np.nonzero(changed)
    scale = hot.shape[0] / box.rows
    assert rows.mean() / scale + box.top == pytest.approx(49.5, abs=2)
    assert columns.mean() / scale + box.left == pytest.approx(29.5, abs=2)
