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
    (first, *_) = judge({"cdd-cesm/dice": figure(0.6)})
    assert first.verdict == "met"


def test_every_target_is_a_figure_that_exists() -> None:
    assert {target.key.rpartition("/")[2] for target in TARGETS} <= set(DESCRIBED)
