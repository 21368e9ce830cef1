from collections.abc import Sequence

import numpy as np
import pytest

from model_export.calibration import choose_has_mask, choose_scale, summary
from model_export.evaluation import Examined, examine, figures, with_interval
from model_export.metrics import Candidates
from model_export.report import markdown
from tests.model_export.answers import examined, finding, lesion_sample

pytestmark = pytest.mark.unit


def mean_score(images: Sequence[Examined]) -> float:
    return float(np.mean([image.score for image in images]))


def test_a_perfect_answer_gets_a_dice_of_one_and_its_hit() -> None:
    sample = lesion_sample()
    assert sample.lesion is not None
    result = examine(sample, finding(sample, sample.lesion, score=0.8))
    assert result.dice == 1.0
    assert result.candidates == Candidates((0.9,), (frozenset({0}),), 1)
    assert result.score == 0.8
    assert result.lesion_share == pytest.approx(sample.lesion.mean())
    assert result.dice_brightest is not None and 0 < result.dice_brightest < 1


def test_a_miss_counts_as_zero() -> None:
    sample = lesion_sample()
    nothing = np.zeros(sample.pixels.shape, np.bool_)
    result = examine(sample, finding(sample, nothing, score=0.1))
    assert result.dice == 0.0
    assert result.candidates == Candidates((), (), 1)


def test_every_figure_of_a_source_is_counted_over_its_own_images() -> None:
    images = [
        examined("cdd-cesm", "1", True, 0.9, dice=0.6, dice_brightest=0.4, lesion_share=0.01),
        examined("cdd-cesm", "2", True, 0.2, dice=0.2, dice_brightest=0.3, lesion_share=0.2),
        examined("rsna-640", "3", True, 0.8),
        examined("rsna-640", "3", False, 0.3),
        examined("rsna-640", "4", False, 0.6),
    ]
    found = figures(images, threshold=0.5)
    values = {name: figure.value for name, figure in found.items()}
    assert values["cdd-cesm/dice"] == pytest.approx(0.4)
    assert values["cdd-cesm/dice_gain"] == pytest.approx(0.05)
    assert values["cdd-cesm/dice_under_5_percent"] == pytest.approx(0.6)
    assert values["cdd-cesm/sensitivity"] == 0.5
    assert values["rsna-640/auc"] == 1.0
    assert values["rsna-640/specificity"] == 0.5
    # Patient 3 scores the mean of its views, .55, and is positive; patient 4 scores .6.
    assert values["rsna-640/patient_auc"] == 0.0
    assert "cdd-cesm/auc" not in values
    assert "rsna-640/dice" not in values
    assert found["rsna-640/auc"].images == 3
    assert found["rsna-640/auc"].patients == 2


def test_intervals_resample_patients_not_images() -> None:
    # Ten images of two patients who differ: over images the interval would be narrow.
    images = [examined("x", str(number % 2), True, float(number % 2)) for number in range(10)]
    figure = with_interval(images, mean_score)
    assert (figure.value, figure.low, figure.high) == (0.5, 0.0, 1.0)
    assert (figure.images, figure.patients) == (10, 2)


def test_a_patient_drawn_twice_is_two_patients() -> None:
    images = [examined("x", str(number), True, 0.5) for number in range(6)]
    figure = with_interval(images, lambda kept: float(len({image.patient for image in kept})))
    assert (figure.low, figure.high) == (6.0, 6.0)


def overconfident(images: int, scale: float, offset: float) -> tuple[list[Examined], list[float]]:
    """Give images whose honest logit is (logit + offset) / scale, half of them positive."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 2 == 0
    honest = rng.normal(np.where(labels, 1.0, -1.0), np.sqrt(2.0))
    given = [examined("rsna-640", str(number), bool(one), 0.5) for number, one in enumerate(labels)]
    return given, [float(scale * value - offset) for value in honest]


def test_temperature_and_shift_undo_an_overconfidence() -> None:
    # Two normals of variance 2, 2 apart: the log likelihood ratio is the value itself.
    temperature, shift = choose_scale(*overconfident(20_000, scale=3.0, offset=-1.5))
    assert temperature == pytest.approx(3.0, rel=0.06)
    assert shift == pytest.approx(-1.5, abs=0.1)


def test_the_scale_does_not_follow_the_share_of_positives() -> None:
    images, logits = overconfident(20_000, scale=1.0, offset=0.0)
    fewer = [number for number, image in enumerate(images) if image.has_lesion or number % 10 == 1]
    _, shift = choose_scale([images[one] for one in fewer], [logits[one] for one in fewer])
    assert shift == pytest.approx(0.0, abs=0.1)


def test_a_source_without_negatives_does_not_set_the_scale() -> None:
    images, logits = overconfident(2000, scale=1.0, offset=0.0)
    only = [examined("cdd-cesm", str(number), True, 0.5) for number in range(2000)]
    alone = choose_scale(images, logits)
    assert choose_scale(images + only, logits + [-9.0] * 2000) == alone
    with pytest.raises(ValueError, match="no source"):
        choose_scale(only, [1.0] * 2000)


def test_the_has_mask_threshold_weighs_sources_alike() -> None:
    # Counted by images, the hundred of CDD-CESM would put the threshold at .9.
    rows = [("rsna-640", False, 0.1), ("rsna-640", False, 0.2), ("rsna-640", False, 0.35)]
    rows += [("rsna-640", True, 0.3)] + [("cdd-cesm", True, 0.9)] * 100
    images = [examined(source, "1", label, score) for source, label, score in rows]
    assert choose_has_mask(images, [score for _, _, score in rows]) == 0.3


def test_of_two_thresholds_as_good_the_lower_is_taken() -> None:
    # From .5 down to .4 one positive in a hundred is won and one negative in a hundred is lost.
    rows = [(True, 0.5)] * 99 + [(True, 0.4)] + [(False, 0.4)] + [(False, 0.1)] * 99
    images = [examined("rsna-640", "1", label, score) for label, score in rows]
    assert choose_has_mask(images, [score for _, score in rows]) == 0.4


def test_a_threshold_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="with and without"):
        choose_has_mask([examined("cdd-cesm", "1", True, 0.4)], [0.4])


def test_the_summary_and_the_report_name_every_figure() -> None:
    found = figures([examined("rsna-640", str(n), n > 1, 0.1 * n) for n in range(4)], 0.5)
    kept = summary(found)
    assert kept["rsna-640/auc"] == 1.0
    assert str(kept["split"]).startswith("test patients")
    assert all(f"| {name} |" in markdown(found) for name in found)
