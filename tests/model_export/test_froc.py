import numpy as np
import pytest

from model_export.froc import Candidates, Froc, best_of_views, froc_sensitivity, join_views

pytestmark = pytest.mark.unit

HIT, MISS = frozenset({0}), frozenset[int]()
IMAGES = [
    Candidates((0.9, 0.5), (MISS, HIT), 1),
    Candidates((0.8, 0.7), (MISS, MISS), 0),
    Candidates((0.6,), (HIT,), 1),
    Candidates((0.4, 0.3), (HIT, HIT), 2),
]
"""In order: miss .9, miss .8, miss .7, hit .6, hit .5, hit .4, the same lesion again."""


def test_froc_by_hand() -> None:
    assert froc_sensitivity(IMAGES, 0.5) == 0.0
    assert froc_sensitivity(IMAGES, 0.75) == pytest.approx(3 / 4)
    assert np.isnan(froc_sensitivity(IMAGES[1:2], 1.0))
    assert froc_sensitivity([Candidates((), (), 1)], 1.0) == 0.0


def test_false_positives_on_normals_are_counted_on_normals_only() -> None:
    froc, once = Froc(IMAGES), np.ones((1, 4))
    # One normal with two marks: at 1 an image nothing below .8 may be taken, at 2 everything.
    assert froc.sensitivities(once, [1.0, 2.0], normals=True).tolist() == [[0.0, 0.75]]
    without = Froc([image for image in IMAGES if image.lesions])
    assert np.isnan(without.sensitivities(np.ones((1, 3)), [1.0], normals=True)).all()


def test_a_false_positive_over_the_limit_ends_the_search() -> None:
    images = [Candidates((0.9, 0.8, 0.7), (MISS, MISS, HIT), 1)]
    assert froc_sensitivity(images, 1.0) == 0.0
    assert froc_sensitivity(images, 2.0) == 1.0


def test_equal_scores_are_taken_together() -> None:
    images = [Candidates((0.9, 0.9), (HIT, MISS), 1)]
    assert froc_sensitivity(images, 0.5) == 0.0
    assert froc_sensitivity(images, 1.0) == 1.0


def test_a_lesion_hit_twice_counts_at_its_best_region() -> None:
    image = Candidates((0.9, 0.4, 0.6), (HIT, HIT, frozenset({1})), 3)
    assert image.best_scores() == (0.9, 0.6, -np.inf)


def test_the_threshold_of_a_rate_is_the_lowest_that_keeps_it() -> None:
    froc = Froc(IMAGES)
    assert froc.threshold(0.25) == 0.9
    assert froc.threshold(0.75) == 0.3
    assert Froc([Candidates((0.9,), (MISS,), 0)]).threshold(0.5) == np.inf


def test_weighing_images_is_repeating_them() -> None:
    rng = np.random.default_rng(5)
    images = [random_image(rng) for _ in range(12)]
    weights = rng.integers(0, 3, (4, 12))
    rates = [0.125, 0.5, 1.0, 4.0]
    found = Froc(images).sensitivities(weights.astype(np.float64), rates)
    for row, values in zip(weights, found, strict=True):
        repeated = [image for image, times in zip(images, row, strict=True) for _ in range(times)]
        assert values.tolist() == pytest.approx([froc_sensitivity(repeated, r) for r in rates])


def test_a_lesion_is_found_when_any_view_of_its_breast_finds_it() -> None:
    views = [
        Candidates((0.9, 0.3), (MISS, HIT), 1),
        Candidates((0.8,), (HIT,), 1),
        Candidates((), (), 1),
    ]
    joined = join_views(views, ["left", "left", "right"])
    assert [view.lesions for view in joined] == [1, 0, 1]
    # One of the two breasts is found, at .8, behind one false positive in three images.
    assert froc_sensitivity(joined, 0.3) == 0.0
    assert froc_sensitivity(joined, 1 / 3) == 0.5
    assert froc_sensitivity(views, 4.0) == pytest.approx(2 / 3)


def test_two_views_never_find_more_lesions_than_one_of_them_shows_to_have_found() -> None:
    both = Candidates((0.9, 0.2), (frozenset({0}), frozenset({1})), 2)
    other = Candidates((0.6,), (frozenset({1}),), 3)
    # The lesion at .6 may be the one at .9: two of three are surely found, the second at .2.
    assert best_of_views([both, other]) == (0.9, 0.2, -np.inf)


@pytest.mark.parametrize("seed", range(8))
def test_joined_views_are_counted_as_by_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(9)]
    breasts = rng.integers(0, 5, 9).tolist()
    for rate in (0.125, 0.25, 0.5, 1.0, 2.0, 4.0):
        expected = any_view_by_brute_force(images, breasts, rate)
        assert froc_sensitivity(join_views(images, breasts), rate) == pytest.approx(expected)


def any_view_by_brute_force(images: list[Candidates], breasts: list[int], rate: float) -> float:
    """Try every threshold and count what the rule says, view by view."""

    def views(breast: int) -> list[Candidates]:
        return [one for one, shown in zip(images, breasts, strict=True) if shown == breast]

    def found_by(view: Candidates, level: float) -> int:
        taken = [hit for score, hit in zip(view.scores, view.hits, strict=True) if score >= level]
        return len(frozenset().union(*taken))

    lesions = sum(max(view.lesions for view in views(breast)) for breast in set(breasts))
    best = 0
    for level in {score for image in images for score in image.scores}:
        false = sum(
            score >= level and not hit
            for image in images
            for score, hit in zip(image.scores, image.hits, strict=True)
        )
        if false <= rate * len(images):
            found = (max(found_by(view, level) for view in views(one)) for one in set(breasts))
            best = max(best, sum(found))
    return best / lesions


def random_image(rng: np.random.Generator) -> Candidates:
    """Return up to six marks of coarse scores over up to three lesions."""
    marks, lesions = int(rng.integers(0, 7)), int(rng.integers(0, 4))
    scores = tuple((rng.integers(0, 9, marks) / 9.0).tolist())
    hits = tuple(
        frozenset({int(rng.integers(lesions))}) if lesions and rng.random() < 0.5 else MISS
        for _ in range(marks)
    )
    return Candidates(scores, hits, lesions)
