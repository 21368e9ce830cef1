import pytest

from model_export.evaluation import Figure
from model_export.evaluation.targets import TARGETS, Target, judge
from model_export.report.describe import DESCRIBED

pytestmark = pytest.mark.unit


def figure(value: float) -> Figure:
    return Figure(value, value - 0.1, value + 0.1, 10, 5)


@pytest.mark.parametrize(
    ("bar", "at_most", "value", "verdict"),
    [
        (0.55, False, 0.55, "met"),
        (0.55, False, 0.549, "not met"),
        (0.03, True, 0.03, "met"),
        (0.03, True, 0.031, "not met"),
        (None, False, 0.1, "reported"),
    ],
)
def test_a_verdict_is_the_value_against_the_bar(
    bar: float | None, at_most: bool, value: float, verdict: str
) -> None:
    assert Target("", "a/b", bar, at_most).verdict(figure(value)) == verdict


def test_what_was_not_examined_is_not_measured() -> None:
    (first, *_) = judge({})
    assert (first.verdict, first.figure) == ("not measured", None)
    (first, *_) = judge({"cbis-ddsm-800/lesion_sensitivity_at_1_fp": figure(0.75)})
    assert first.verdict == "met"


def test_a_bar_for_what_was_never_trained_on_does_not_hold_for_what_was() -> None:
    key = "mini-mias/lesion_sensitivity_at_1_fp"
    found = {key: figure(0.9)}

    def verdict(*trained_on: str) -> str:
        return next(one.verdict for one in judge(found, trained_on) if one.target.key == key)

    assert (verdict("cdd-cesm"), verdict("mini-mias")) == ("met", "trained on it")


def test_the_bars_are_those_of_the_issue() -> None:
    bars = {target.key: target.bar for target in TARGETS if target.bar is not None}
    contrasts = {key: bars.pop(key) for key in list(bars) if "contrast" in key}
    assert bars == {
        "cbis-ddsm-800/lesion_sensitivity_at_1_fp": 0.75,
        "cbis-ddsm-800/lesion_sensitivity_at_0.25_fp": 0.60,
        "mini-mias/lesion_sensitivity_at_1_fp": 0.45,
        "rsna-640/auc": 0.66,
        "rsna-640/patient_auc": 0.70,
        "cbis-ddsm-800/sensitivity": 0.90,
    }
    assert set(contrasts.values()) == {0.03} and len(contrasts) == 8


def test_every_target_is_a_figure_that_exists() -> None:
    assert {target.key.rpartition("/")[2] for target in TARGETS} <= set(DESCRIBED)
