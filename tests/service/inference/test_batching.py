import pytest

from service.inference.batching import BATCH_SIZES, LONGEST_DELAY_S, ArrivalPace

pytestmark = pytest.mark.unit

LARGEST = BATCH_SIZES["cuda"][-1]


def pace_of(gap_s: float, arrivals: int = 40) -> ArrivalPace:
    pace = ArrivalPace()
    for index in range(arrivals):
        pace.arrived(1, index * gap_s)
    return pace


def test_nobody_waits_before_the_pace_is_known() -> None:
    assert ArrivalPace().patience_s(1, LARGEST) == 0.0
    assert pace_of(1.0, arrivals=1).patience_s(1, LARGEST) == 0.0


def test_nobody_waits_for_what_comes_too_seldom() -> None:
    assert pace_of(2 * LONGEST_DELAY_S).patience_s(1, LARGEST) == 0.0


def test_a_crowd_is_waited_for_as_long_as_it_takes_to_fill_the_batch() -> None:
    pace = pace_of(LONGEST_DELAY_S / 100)
    assert pace.patience_s(LARGEST - 2, LARGEST) == pytest.approx(2 * LONGEST_DELAY_S / 100)
    assert pace_of(LONGEST_DELAY_S / 2).patience_s(1, LARGEST) == LONGEST_DELAY_S


def test_a_full_batch_goes_at_once() -> None:
    assert pace_of(LONGEST_DELAY_S / 100).patience_s(LARGEST, LARGEST) == 0.0


def test_the_pace_follows_a_crowd_that_goes_away() -> None:
    pace = pace_of(LONGEST_DELAY_S / 100)
    for index in range(20):
        pace.arrived(1, 1.0 + index)
    assert pace.patience_s(1, LARGEST) == 0.0


def test_tiles_that_come_together_count_each() -> None:
    pace = ArrivalPace()
    for index in range(40):
        pace.arrived(4, index * LONGEST_DELAY_S * 2)
    assert pace.patience_s(LARGEST - 1, LARGEST) > 0.0
