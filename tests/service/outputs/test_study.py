"""How scores of images become scores of views, breasts and the study."""

import pytest

from service.imaging.mammogram import Laterality
from service.outputs.study import ImageScore, combine

pytestmark = pytest.mark.unit

Image = tuple[Laterality | None, str | None, float]


def image_scores(*images: Image, special: tuple[int, ...] = ()) -> list[ImageScore]:
    return [ImageScore(index, *image, index in special) for index, image in enumerate(images)]


FOUR: tuple[Image, ...] = (("R", "CC", 0.1), ("L", "CC", 0.8), ("R", "MLO", 0.3), ("L", "MLO", 0.6))


def test_the_four_standard_views() -> None:
    study = combine(image_scores(*FOUR))
    assert [(breast.laterality, breast.score) for breast in study.breasts] == [
        ("R", 0.2),
        ("L", 0.7),
    ]
    assert (study.score, study.missing_views, study.images) == (0.45, [], [0, 1, 2, 3])
    assert [view.images for view in study.breasts[1].views] == [[1], [3]]
    assert study.rule == "mean-of-views"


def test_the_order_of_the_images_does_not_matter() -> None:
    reverse = combine(image_scores(*FOUR[::-1]))
    assert (reverse.score, reverse.breasts[0].score) == (0.45, 0.2)


def test_repeats_of_a_view_weigh_no_more_than_one() -> None:
    study = combine(
        image_scores(("L", "CC", 0.2), ("L", "CC", 0.4), ("L", "CC", 0.6), ("L", "MLO", 0.8))
    )
    assert [view.images for view in study.breasts[0].views] == [[0, 1, 2], [3]]
    assert study.score == study.breasts[0].score == 0.6
    assert study.missing_views == ["RCC", "RMLO"]


def test_a_special_view_stands_for_no_view_of_the_screening() -> None:
    alone = combine(image_scores(("R", "CC", 0.9), *FOUR[1:], special=(0,)))
    assert alone.missing_views == ["RCC"]
    beside = combine(image_scores(*FOUR, ("R", "CC", 0.9), special=(4,)))
    assert beside.missing_views == []
    right = beside.breasts[0]
    assert [view.images for view in right.views] == [[0], [2], [4]]
    assert right.score == pytest.approx((0.1 + 0.3 + 0.9) / 3, abs=1e-6)


def test_an_image_of_unknown_side_counts_in_the_study_and_in_no_breast() -> None:
    study = combine(
        image_scores((None, "CC", 0.2), (None, "CC", 0.4), ("L", None, 0.9), ("L", None, 0.5))
    )
    assert [view.images for view in study.views_of_unknown_side] == [[0], [1]]
    assert [view.images for view in study.breasts[0].views] == [[2], [3]]
    assert (study.score, study.breasts[0].score) == (0.5, 0.7)
    assert study.missing_views == ["RCC", "LCC", "RMLO", "LMLO"]


def test_a_view_that_is_no_standard_one_counts_for_its_breast() -> None:
    study = combine(image_scores(("L", "CC", 0.2), ("L", "XCCL", 0.4)))
    assert (study.breasts[0].score, study.missing_views) == (0.3, ["RCC", "RMLO", "LMLO"])


def test_without_an_image_there_is_no_score() -> None:
    study = combine([])
    assert (study.score, study.breasts, study.images) == (None, [], [])
