from dataclasses import replace

import pytest

from model_export import resampling
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.strata import Stratum, strata
from model_export.froc import Candidates
from tests.model_export.answers import image_result, normal, positive

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 20)


def rows(*images: ImageResult) -> dict[tuple[str, str], Stratum]:
    return {(one.dimension, one.name): one for one in strata(images)}


def lesion(patient: str, dice: float, **known: object) -> ImageResult:
    outlined = positive(dice, **known)  # type: ignore[arg-type]
    return image_result("m", patient, True, 0.8, outlined=outlined)


def test_lesions_fall_into_bins_by_size() -> None:
    found = rows(
        lesion("1", 0.2, diameter_mm=5.0, share=0.002, mark=None),
        lesion("2", 0.6, diameter_mm=12.0, share=0.01),
        lesion("3", 0.8, diameter_mm=10.0, share=0.05),
        image_result("m", "4", False, 0.9, outlined=normal(0.1)),
    )
    small, middle = found["diameter", "< 10 mm"], found["diameter", "10 to 20 mm"]
    assert small.figures["dice"].value == pytest.approx(0.2)
    assert small.figures["lesion_sensitivity"].value == 0.0
    assert middle.figures["dice"].value == pytest.approx(0.7)
    assert middle.figures["lesion_sensitivity"].value == 1.0
    assert middle.figures["auc"].value == 0.0  # the one negative outscores them
    assert ("diameter", ">= 40 mm") not in found
    assert found["share of frame", "< 1 %"].positives == 1
    assert found["share of frame", "1 to 5 %"].positives == 1
    assert found["share of frame", ">= 5 %"].positives == 1


def test_lesions_count_as_found_at_one_false_positive_an_image_of_the_whole_source() -> None:
    late = lesion("1", 0.5, mark=0.3)
    noisy = image_result("m", "2", False, 0.1, outlined=normal(0.9, 0.8, 0.7))
    found = rows(late, noisy)
    assert found["diameter", "10 to 20 mm"].figures["lesion_sensitivity"].value == 0.0
    quiet = image_result("m", "2", False, 0.1, outlined=normal(0.9, 0.8))
    found = rows(late, quiet)
    assert found["diameter", "10 to 20 mm"].figures["lesion_sensitivity"].value == 1.0


def test_images_fall_apart_by_what_their_lesions_are_known_by() -> None:
    found = rows(
        lesion("1", 0.2),
        lesion("2", 0.4),
        image_result("m", "3", True, 0.5, annotation="image_label"),
    )
    assert not {name for dimension, name in found if dimension == "outline"}
    found = rows(
        image_result("m", "1", True, 0.8, annotation="box", outlined=positive(0.2)),
        image_result("m", "2", True, 0.8, annotation="pseudo_outline", outlined=positive(0.6)),
    )
    assert found["outline", "box"].positives == found["outline", "pseudo-outline"].positives == 1


def test_images_fall_apart_by_view_and_density_where_these_differ() -> None:
    found = rows(
        image_result("r", "1", True, 0.9, view="CC", density="A"),
        image_result("r", "2", False, 0.1, view="CC", density="A"),
        image_result("r", "3", True, 0.2, view="MLO", density="A"),
        image_result("r", "4", False, 0.3, view="MLO", density=None),
    )
    assert found["view", "CC"].figures["auc"].value == 1.0
    assert found["view", "MLO"].figures["auc"].value == 0.0
    assert not any(dimension == "density" for dimension, _ in found)


def test_pathology_and_side_are_strata_and_views_of_a_breast_are_joined_in_them() -> None:
    def view(patient: str, side: str, mark: float | None, **known: object) -> ImageResult:
        outlined = positive(0.5, mark=mark)
        return image_result("m", patient, True, 0.5, outlined=outlined, laterality=side, **known)

    found = rows(
        view("1", "L", 0.9, view="CC", pathology="BENIGN"),
        view("1", "L", None, view="MLO", pathology="BENIGN"),
        view("2", "R", None, view="CC", pathology="MALIGNANT"),
        view("2", "R", None, view="MLO", pathology="MALIGNANT"),
    )
    benign = found["pathology", "BENIGN"].figures
    assert benign["lesion_sensitivity"].value == 0.5
    assert benign["lesion_sensitivity_any_view"].value == 1.0
    assert benign["lesion_sensitivity_any_view_at_0.25_fp"].value == 1.0
    assert found["pathology", "MALIGNANT"].figures["lesion_sensitivity_any_view"].value == 0.0
    assert found["laterality", "L"].positives == 2
    assert "lesion_sensitivity_any_view" not in found["view", "CC"].figures


def test_a_lesion_is_found_in_a_stratum_at_each_rate_of_the_whole_source() -> None:
    found = rows(
        lesion("1", 0.5, mark=0.3),
        image_result("m", "2", False, 0.1, outlined=normal(0.9)),
        lesion("3", 0.5, mark=0.95),
    )
    figures = found["diameter", "10 to 20 mm"].figures
    assert figures["lesion_sensitivity_at_0.25_fp"].value == 0.5
    assert figures["lesion_sensitivity_at_0.5_fp"].value == 1.0
    assert figures["lesion_sensitivity"].value == 1.0


def test_lesions_fall_into_thirds_by_size_unless_they_are_alike() -> None:
    sizes = [lesion(str(size), 0.5, diameter_mm=float(size)) for size in range(1, 10)]
    found = rows(*sizes)
    names = [name for dimension, name in found if dimension == "size third"]
    assert names == ["small, < 3.7 mm", "middle, < 6.3 mm", "large, >= 6.3 mm"]
    assert [found["size third", name].positives for name in names] == [3, 3, 3]
    alike = rows(*(lesion(str(number), 0.5) for number in range(9)))
    assert not any(dimension == "size third" for dimension, _ in alike)


def test_dice_against_pseudo_outlines_is_said_apart() -> None:
    pseudo = image_result("m", "1", True, 0.8, outlined=positive(0.8), annotation="pseudo_outline")
    found = rows(lesion("2", 0.4), pseudo)["diameter", "10 to 20 mm"].figures
    assert found["dice"].value == pytest.approx(0.4)
    assert found["dice_pseudo"].value == pytest.approx(0.8)


def test_few_positives_are_marked() -> None:
    few = [lesion(str(number), 0.5) for number in range(9)]
    assert rows(*few)["diameter", "10 to 20 mm"].is_small
    assert not rows(*few, lesion("9", 0.5))["diameter", "10 to 20 mm"].is_small


def test_an_image_whose_outline_is_empty_falls_into_no_bin_of_lesions() -> None:
    empty = replace(positive(0.0, mark=None), lesions=(), candidates=Candidates((), (), 0))
    found = rows(lesion("1", 0.2), image_result("m", "2", True, 0.8, outlined=empty))
    assert found["diameter", "10 to 20 mm"].positives == 1
