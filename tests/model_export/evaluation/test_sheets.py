import cv2
import numpy as np
import pytest

from model_export.evaluation.image_result import OutlineResult
from model_export.evaluation.sheets import COLUMNS, KEPT, SIDE, TITLE, Sheets, margin
from model_export.froc import Candidates
from tests.model_export.answers import (
    NOTHING,
    finding,
    image_result,
    lesion_sample,
    normal,
    positive,
)

pytestmark = pytest.mark.unit

SAMPLE = lesion_sample()
LESION = SAMPLE.lesion
ANSWER = finding(SAMPLE, np.zeros((128, 128), np.bool_), 0.5)


def marked(*marks: tuple[float, set[int]], lesions: int = 1) -> OutlineResult:
    candidates = Candidates(
        tuple(score for score, _ in marks), tuple(frozenset(hit) for _, hit in marks), lesions
    )
    return OutlineResult(candidates, NOTHING, dice=0.5)


@pytest.mark.parametrize(
    ("outlined", "expected"),
    [
        (marked((0.9, {0})), 0.9),
        (marked((0.9, {0}), (0.7, set())), 0.2),
        (marked((0.8, set())), -0.8),
        (marked(), 0.0),
        (marked((0.9, {0}), (0.4, {1}), lesions=2), 0.4),
        (marked((0.9, {0}), lesions=2), 0.0),
    ],
)
def test_the_margin_is_the_least_found_lesion_less_the_strongest_false_positive(
    outlined: OutlineResult, expected: float
) -> None:
    assert margin(image_result("m", "1", True, 0.5, outlined=outlined)) == pytest.approx(expected)


def test_the_best_and_the_worst_are_kept_in_order() -> None:
    sheets = Sheets()
    for number in np.random.default_rng(0).permutation(60):
        image = image_result("m", str(number), True, 0.5, outlined=positive(0.5, mark=number / 60))
        sheets.offer(image, ANSWER, LESION)
    sheets.offer(image_result("m", "normal", False, 0.5, outlined=normal(0.9)), ANSWER, None)
    sheets.offer(image_result("r", "label", True, 0.5), ANSWER, None)
    best, worst = sheets.sheets()
    assert (best.source, best.kind, worst.kind) == ("m", "best", "worst")
    assert [image.patient for image in best.images] == [str(59 - rank) for rank in range(KEPT)]
    assert [image.patient for image in worst.images] == [str(rank) for rank in range(KEPT)]


def test_a_sheet_is_one_picture_however_few_there_are() -> None:
    sheets = Sheets()
    for number in range(COLUMNS + 1):
        image = image_result("m", str(number), True, 0.5, outlined=positive(0.5))
        sheets.offer(image, ANSWER, LESION)
    best, _ = sheets.sheets()
    picture = cv2.imdecode(np.frombuffer(best.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (2 * (SIDE + TITLE), COLUMNS * SIDE, 3)
    assert best.png.startswith(b"\x89PNG") and picture.std() > 10
    assert [image.patient for image in best.images] == [str(n) for n in range(COLUMNS + 1)]
