from dataclasses import replace

import numpy as np
import pytest

from model_export import resampling
from model_export.detection import Detections
from model_export.evaluation.figures import figures, patient_auc
from model_export.report.describe import DESCRIBED
from tests.model_export.answers import image_result, normal, positive, three_sources

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 20)


def values(*images: object, threshold: float = 0.5) -> dict[str, float]:
    return {key: one.value for key, one in figures(images, threshold).items()}  # type: ignore[arg-type]


def test_overlap_is_counted_over_positives_and_over_hits() -> None:
    found = values(
        image_result("cdd-cesm", "1", True, 0.9, outlined=positive(0.6, baseline=0.4)),
        image_result("cdd-cesm", "2", True, 0.2, outlined=positive(0.2, share=0.2, mark=None)),
    )
    assert found["cdd-cesm/dice"] == pytest.approx(0.4)
    assert found["cdd-cesm/dice_gain"] == pytest.approx((0.2 - 0.1) / 2)
    assert found["cdd-cesm/dice_under_5_percent"] == pytest.approx(0.6)
    assert found["cdd-cesm/dice_hits"] == pytest.approx(0.6)
    assert found["cdd-cesm/iou"] == pytest.approx((0.6 / 1.4 + 0.2 / 1.8) / 2)
    assert found["cdd-cesm/images_hit"] == 0.5
    assert found["cdd-cesm/sensitivity"] == 0.5
    assert "cdd-cesm/auc" not in found


def test_lesions_are_counted_over_all_searched_images_and_over_normals() -> None:
    found = values(
        image_result("m", "1", True, 0.9, outlined=positive(0.6, mark=0.5)),
        image_result("m", "2", False, 0.2, outlined=normal(0.9, 0.8)),
        image_result("m", "3", False, 0.2, outlined=normal()),
    )
    # To take the hit at .5, two false positives must be taken: 2/3 an image, 1 a normal.
    assert found["m/lesion_sensitivity_at_0.5_fp"] == 0.0
    assert found["m/lesion_sensitivity_at_1_fp"] == 1.0
    assert found["m/lesion_sensitivity_at_0.5_fp_on_normals"] == 0.0
    assert found["m/lesion_sensitivity_at_1_fp_on_normals"] == 1.0
    more = [image_result("m", str(n), True, 0.9, outlined=positive(0.6, mark=0.5)) for n in (4, 5)]
    found = values(*more, image_result("m", "2", False, 0.2, outlined=normal(0.9)))
    assert found["m/lesion_sensitivity_at_0.5_fp"] == 1.0
    assert found["m/lesion_sensitivity_at_0.5_fp_on_normals"] == 0.0


def test_outlines_of_people_of_nets_and_circles_are_never_averaged_together() -> None:
    found = values(
        image_result("m", "1", True, 0.9, outlined=positive(0.6)),
        image_result("m", "2", True, 0.9, outlined=positive(0.8), annotation="pseudo_outline"),
        image_result("m", "3", True, 0.9, outlined=positive(0.2), annotation="circle"),
        image_result("m", "4", True, 0.9, outlined=positive(0.4), annotation="box"),
    )
    assert found["m/dice"] == pytest.approx(0.6)
    assert found["m/dice_pseudo"] == pytest.approx(0.8)
    assert found["m/dice_rough"] == pytest.approx(0.3)
    assert found["m/images_hit"] == 1.0
    assert found["m/lesion_sensitivity_at_1_fp"] == 1.0


def test_a_lesion_is_found_in_any_view_of_the_same_breast() -> None:
    seen, missed = positive(0.6, mark=0.5), positive(0.0, mark=None)
    views = [
        image_result("m", "1", True, 0.9, outlined=seen, laterality="L", view="CC"),
        image_result("m", "1", True, 0.8, outlined=missed, laterality="L", view="MLO"),
        image_result("m", "1", True, 0.7, outlined=missed, laterality="R", view="CC"),
    ]
    found = values(*views)
    assert found["m/lesion_sensitivity_at_1_fp"] == pytest.approx(1 / 3)
    assert found["m/lesion_sensitivity_any_view_at_1_fp"] == pytest.approx(1 / 2)
    assert found["m/any_view_gain_at_1_fp"] == pytest.approx(1 / 2 - 1 / 3)
    # Nothing to join: one view a breast, or no word on which breast it is.
    assert "m/lesion_sensitivity_any_view_at_1_fp" not in values(views[0], views[2])
    unsaid = [image_result("m", "1", True, score, outlined=seen) for score in (0.1, 0.2)]
    assert "m/lesion_sensitivity_any_view_at_1_fp" not in values(*unsaid)


def test_boxes_are_counted_at_an_iou_of_a_half() -> None:
    right = replace(positive(0.6), boxes=Detections((0.9,), (True,), 1))
    wrong = replace(positive(0.6), boxes=Detections((0.8,), (False,), 1))
    found = values(
        image_result("m", "1", True, 0.9, outlined=right),
        image_result("m", "2", True, 0.9, outlined=wrong),
    )
    assert found["m/average_precision_50"] == pytest.approx(51 / 101)


def test_positives_without_negatives_are_set_against_normals_of_another_and_the_guess() -> None:
    bright, dark = (1.0, 0, 0, 0, 0, 0), (0.0, 0, 0, 0, 0, 0)
    film = [
        image_result("cbis", str(n), True, 0.9, outlined=positive(0.5), brightness=bright)
        for n in range(6)
    ]
    other = [
        image_result("mias", str(n), n > 5, 0.95 - 0.1 * n, outlined=drawn, brightness=dark)
        for n, drawn in enumerate([normal()] * 6 + [positive(0.5)] * 2)
    ]
    labelled = [image_result("rsna", str(n), False, 0.1, brightness=dark) for n in range(6)]
    found = values(*film, *other, *labelled)
    # One of six normals scores above; the two sets are told apart without any lesion.
    assert found["cbis against mias/auc_across"] == pytest.approx(5 / 6)
    assert found["cbis against mias/source_guess_auc"] == pytest.approx(1.0)
    assert {key.split("/")[0] for key in found if " against " in key} == {"cbis against mias"}
    assert "cbis/auc" not in found
    few = values(*film[:3], *other)
    assert "cbis against mias/source_guess_auc" not in few


def test_the_froc_is_summed_up_beside_the_blobs() -> None:
    found = values(
        image_result("m", "1", True, 0.9, outlined=positive(0.6, mark=0.5)),
        image_result("m", "2", False, 0.2, outlined=normal(0.9, 0.8)),
        image_result("m", "3", False, 0.2, outlined=normal()),
    )
    assert found["m/froc_mean"] == pytest.approx(3 / 6)
    assert found["m/blob_sensitivity_at_1_fp"] == 1.0


def test_images_and_patients_are_told_apart() -> None:
    found = figures(
        [
            image_result("r", "3", True, 0.8, probe=0.1),
            image_result("r", "3", False, 0.3, probe=0.2),
            image_result("r", "4", False, 0.6, probe=0.3),
        ],
        0.5,
    )
    assert found["r/auc"].value == 1.0
    assert found["r/probe_auc"].value == 0.0
    assert found["r/auc_over_probe"].value == 1.0
    assert found["r/specificity"].value == 0.5
    assert found["r/sensitivity_at_90_specificity"].value == 1.0
    # Patient 3 scores the mean of its views, .55, and is positive; patient 4 scores .6.
    assert found["r/patient_auc"].value == 0.0
    assert (found["r/auc"].images, found["r/auc"].patients) == (3, 2)
    assert "r/dice" not in found


def test_a_patient_is_drawn_with_all_views() -> None:
    patients = [("3", True, 0.875), ("3", True, 0.75), ("4", False, 0.8125), ("5", False, 0.1)]
    measure = patient_auc([image_result("r", *one) for one in patients])
    assert measure(np.array([[1.0, 1, 1, 1], [1, 1, 3, 1], [2, 2, 0, 1]])).tolist() == [
        0.75,
        pytest.approx((3 * 0.5 + 1) / 4),
        1.0,
    ]


def test_a_missing_probe_is_no_probe() -> None:
    found = values(image_result("r", "1", True, 0.8, probe=0.5), image_result("r", "2", False, 0.3))
    assert "r/auc" in found and "r/probe_auc" not in found


def test_calibration_at_even_odds_does_not_follow_the_share_of_positives() -> None:
    # Half of the positives and half of the negatives score .5: right at even odds only.
    images = [image_result("r", str(n), n < 2, 0.5) for n in range(10)]
    found = values(*images)
    assert found["r/ece"] == pytest.approx(0.3)
    assert found["r/ece_even_odds"] == pytest.approx(0.0)
    assert found["r/brier"] == pytest.approx(0.25)


def test_tiles_and_masks_and_regions_are_counted() -> None:
    found = values(
        image_result("r", "1", False, 0.8, tile_scores=(0.8, 0.1, 0.2), mask_share=0.2, selected=3),
        image_result("r", "2", False, 0.3, tile_scores=(0.3,), mask_share=0.0, correlation=0.4),
    )
    assert found["r/positive_tiles"] == 0.25
    assert found["r/mask_share"] == 0.1
    assert found["r/marks_on_negatives"] == 1.5
    assert found["r/correlation_outside"] == 0.4


def test_a_crop_is_measured_where_it_was_tried() -> None:
    images = [
        image_result("m", "1", True, 0.8, cropped=0.5),
        image_result("m", "2", False, 0.3, cropped=0.4),
        image_result("n", "3", False, 0.3),
    ]
    found = values(*images)
    assert found["m/cropped_score_change"] == pytest.approx((0.3 + 0.1) / 2)
    assert found["all/cropped_score_change"] == pytest.approx(0.2)
    assert "n/cropped_score_change" not in found


def test_contrast_is_measured_where_it_was_tried() -> None:
    tried = [
        image_result("m", "1", True, 0.8, outlined=positive(0.6), contrast={1.5: (0.2, 0.5)}),
        image_result("m", "2", False, 0.3, outlined=normal(), contrast={1.5: (0.4, None)}),
        image_result("m", "3", False, 0.3, outlined=normal()),
    ]
    found = values(*tried)
    assert found["m/contrast_1.5_score_change"] == pytest.approx((0.6 + 0.1) / 2)
    assert found["all/contrast_1.5_score_change"] == pytest.approx(0.35)
    assert found["m/contrast_1.5_auc_loss"] == 1.0
    assert found["m/contrast_1.5_dice_loss"] == pytest.approx(0.1)
    assert "m/contrast_2_score_change" not in found


def test_every_figure_is_described_and_none_is_not_a_number() -> None:
    found = figures(three_sources(), 0.5)
    assert {key.rpartition("/")[2] for key in found} <= set(DESCRIBED)
    assert not np.isnan([figure.value for figure in found.values()]).any()
    assert {key.rpartition("/")[0] for key in found} == {
        "all",
        "cdd-cesm",
        "cdd-cesm against mini-mias",
        "mini-mias",
        "rsna-640",
        "views",
    }
