import numpy as np
import pytest

from model_export.detection import AveragePrecision, Detections, ScoredBox, match_boxes

pytestmark = pytest.mark.unit


def value(*images: Detections) -> float:
    return float(AveragePrecision(images).values(np.ones((1, len(images))))[0])


def test_a_box_of_the_truth_is_credited_once_and_to_the_best_score() -> None:
    truth = [(10.0, 10.0, 20.0, 20.0)]
    found = match_boxes(
        [ScoredBox(0.4, 10, 10, 20, 20), ScoredBox(0.9, 12, 10, 20, 20)],
        truth,
    )
    assert found == Detections((0.9, 0.4), (True, False), 1)


@pytest.mark.parametrize(("width", "right"), [(20.0, True), (19.0, False), (80.0, True)])
def test_half_of_the_union_must_be_shared(width: float, right: bool) -> None:
    found = match_boxes([ScoredBox(0.9, 0, 0, width, 10)], [(0.0, 0.0, 40.0, 10.0)])
    assert found.right == (right,)


def test_average_precision_by_hand() -> None:
    # Right, wrong, right of 2: precision 1 up to recall .5 (51 recalls), then 2/3 (50 recalls).
    image = Detections((0.9, 0.8, 0.7), (True, False, True), 2)
    assert value(image) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert value(Detections((0.9,), (True,), 1)) == 1.0
    assert value(Detections((), (), 1)) == 0.0
    assert np.isnan(value(Detections((0.5,), (False,), 0)))


def test_a_wrong_region_in_an_image_without_lesion_costs_precision() -> None:
    right = Detections((0.5,), (True,), 1)
    assert value(right, Detections((0.9,), (False,), 0)) == pytest.approx(0.5)
    assert value(right, Detections((0.1,), (False,), 0)) == 1.0


def test_weighing_images_is_repeating_them() -> None:
    rng = np.random.default_rng(3)
    images = [random_image(rng) for _ in range(10)]
    weights = rng.integers(0, 3, (5, 10))
    found = AveragePrecision(images).values(weights.astype(np.float64))
    for row, one in zip(weights, found, strict=True):
        repeated = [image for image, times in zip(images, row, strict=True) for _ in range(times)]
        assert one == pytest.approx(by_brute_force(repeated))


def by_brute_force(images: list[Detections]) -> float:
    """Average, over 101 recalls, the best precision of any threshold that reaches the recall."""
    levels = {score for image in images for score in image.scores}
    truths = sum(image.truths for image in images)
    points = []
    for level in levels:
        taken = [
            right
            for image in images
            for score, right in zip(image.scores, image.right, strict=True)
            if score >= level
        ]
        points.append((sum(taken) / truths, sum(taken) / len(taken)))
    best = [
        max((precision for recall, precision in points if recall >= step / 100 - 1e-9), default=0.0)
        for step in range(101)
    ]
    return float(np.mean(best))


def random_image(rng: np.random.Generator) -> Detections:
    """Return up to five scored regions over up to two boxes of the truth."""
    marks, truths = int(rng.integers(0, 6)), int(rng.integers(0, 3))
    right = (rng.permutation(marks) < truths).tolist()
    scores = sorted((rng.integers(0, 9, marks) / 9.0).tolist(), reverse=True)
    return Detections(tuple(scores), tuple(bool(one) for one in right), truths)
