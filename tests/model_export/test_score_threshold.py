import numpy as np
import pytest

from model_export.score_threshold import (
    NO_NEGATIVES,
    ScoreChoice,
    Scored,
    choose_for_sensitivity,
    choose_has_mask,
    choose_scale,
    choose_score,
    holds_for,
)
from service.inference.session import Session
from service.models import BUNDLED_MODEL


def overconfident(images: int, scale: float, offset: float) -> tuple[list[Scored], list[float]]:
    """Return images whose honest logit is (logit + offset) / scale, half of them positive."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 2 == 0
    honest = rng.normal(np.where(labels, 1.0, -1.0), np.sqrt(2.0))
    given = [Scored("rsna-640", bool(label), 0.5) for label in labels]
    return given, [float(scale * value - offset) for value in honest]


@pytest.mark.slow
@pytest.mark.unit
def test_temperature_and_shift_undo_an_overconfidence() -> None:
    # Two normals of variance 2, 2 apart: the log likelihood ratio is the value itself.
    temperature, shift = choose_scale(*overconfident(6_000, scale=3.0, offset=-1.5))
    assert temperature == pytest.approx(3.0, rel=0.06)
    assert shift == pytest.approx(-1.5, abs=0.1)


@pytest.mark.unit
def test_the_scale_does_not_follow_the_share_of_positives() -> None:
    images, logits = overconfident(6_000, scale=1.0, offset=0.0)
    fewer = [number for number, image in enumerate(images) if image.has_lesion or number % 10 == 1]
    _, shift = choose_scale([images[one] for one in fewer], [logits[one] for one in fewer])
    assert shift == pytest.approx(0.0, abs=0.1)


@pytest.mark.unit
def test_a_source_without_negatives_does_not_set_the_scale() -> None:
    images, logits = overconfident(2000, scale=1.0, offset=0.0)
    only = [Scored("cdd-cesm", True, 0.5)] * 2000
    alone = choose_scale(images, logits)
    assert choose_scale(images + only, logits + [-9.0] * 2000) == alone
    with pytest.raises(ValueError, match="no source"):
        choose_scale(only, [1.0] * 2000)


@pytest.mark.integration
def test_without_negatives_the_score_stays_as_it_was() -> None:
    contract = Session.open(BUNDLED_MODEL).contract
    point = contract.operating_point.model_copy(update={"has_mask": 0.37})
    score = contract.score.model_copy(update={"temperature": 1.3})
    before = contract.model_copy(update={"operating_point": point, "score": score})
    only = [Scored("cbis-ddsm", True, value) for value in (0.2, 0.9)]
    assert choose_score(before, only) == ScoreChoice(1.3, 0.0, 0.37, NO_NEGATIVES)
    both = [*only, Scored("cbis-ddsm", False, 0.1)]
    assert choose_score(before, both).chosen_by != NO_NEGATIVES


@pytest.mark.unit
def test_the_has_mask_threshold_weighs_sources_alike() -> None:
    # Counted by images, the hundred of CDD-CESM would put the threshold at .9.
    images = [Scored("rsna-640", False, score) for score in (0.1, 0.2, 0.35)]
    images += [Scored("rsna-640", True, 0.3), *[Scored("cdd-cesm", True, 0.9)] * 100]
    assert choose_has_mask(images) == 0.3


@pytest.mark.unit
def test_of_two_thresholds_as_good_the_lower_is_taken() -> None:
    # From .5 down to .4 one positive in a hundred is won and one negative in a hundred is lost.
    rows = [(True, 0.5)] * 99 + [(True, 0.4)] + [(False, 0.4)] + [(False, 0.1)] * 99
    assert choose_has_mask([Scored("rsna-640", label, score) for label, score in rows]) == 0.4


@pytest.mark.unit
def test_a_threshold_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="with and without"):
        choose_has_mask([Scored("cdd-cesm", True, 0.4)])


@pytest.mark.unit
def test_the_contract_says_for_which_images_the_threshold_holds() -> None:
    images = [Scored("cdd-cesm", True, 0.9), Scored("cdd-cesm", True, 0.2)]
    images += [Scored("rsna-640", False, score) for score in (0.1, 0.4, 0.5, 0.6)]
    text = holds_for(images, 0.5)
    assert "cdd-cesm finds 0.50 of 2" in text
    assert "rsna-640 spares 0.50 of 4" in text
    assert "cdd-cesm spares" not in text


@pytest.mark.unit
def test_a_threshold_for_a_sensitivity_finds_that_share_and_no_threshold_above_does() -> None:
    scores = [0.05, 0.12345, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    images = [Scored("cbis-ddsm-800", True, score) for score in scores]
    others = [Scored("cdd-cesm", True, 0.01), Scored("cbis-ddsm-800", False, 0.02)]
    threshold = choose_for_sensitivity(images + others, 0.9, "cbis-ddsm-800")
    assert threshold == 0.1234
    assert sum(image.score >= threshold for image in images) == 9
    with pytest.raises(ValueError, match="no validation image of rsna-640"):
        choose_for_sensitivity(images, 0.9, "rsna-640")


@pytest.mark.integration
def test_a_threshold_for_a_sensitivity_needs_no_negatives_and_says_what_it_is_for() -> None:
    contract = Session.open(BUNDLED_MODEL).contract
    images = [Scored("cbis-ddsm-800", True, score) for score in (0.2, 0.4, 0.6, 0.8)]
    choice = choose_score(contract, images, (0.75, "cbis-ddsm-800"))
    assert (choice.shift, choice.sensitivity) == (0.0, 0.75)
    assert choice.temperature == contract.score.temperature
    assert choice.threshold == pytest.approx(0.4, abs=1e-4)
    assert "at least 0.75 of the validation images of cbis-ddsm-800" in choice.chosen_by
