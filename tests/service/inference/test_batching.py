import pytest

from service.inference.batching import BATCH_SIZES, MAX_DELAY_S, ArrivalRate

pytestmark = pytest.mark.unit

MAX_BATCH = BATCH_SIZES["cuda"][-1]


def rate_of(gap_s: float, arrivals: int = 40) -> ArrivalRate:
    rate = ArrivalRate()
    for index in range(arrivals):
        rate.arrived(1, index * gap_s)
    return rate


def test_nobody_waits_before_the_pace_is_known() -> None:
    assert ArrivalRate().delay_s(1, MAX_BATCH) == 0.0
    assert rate_of(1.0, arrivals=1).delay_s(1, MAX_BATCH) == 0.0


def test_nobody_waits_for_what_comes_too_seldom() -> None:
    assert rate_of(2 * MAX_DELAY_S).delay_s(1, MAX_BATCH) == 0.0


def test_a_crowd_is_waited_for_as_long_as_it_takes_to_fill_the_batch() -> None:
    rate = rate_of(MAX_DELAY_S / 100)
    assert rate.delay_s(MAX_BATCH - 2, MAX_BATCH) == pytest.approx(2 * MAX_DELAY_S / 100)
    assert rate_of(MAX_DELAY_S / 2).delay_s(1, MAX_BATCH) == MAX_DELAY_S


def test_a_full_batch_goes_at_once() -> None:
    assert rate_of(MAX_DELAY_S / 100).delay_s(MAX_BATCH, MAX_BATCH) == 0.0


def test_the_pace_follows_a_crowd_that_goes_away() -> None:
    rate = rate_of(MAX_DELAY_S / 100)
    for index in range(20):
        rate.arrived(1, 1.0 + index)
    assert rate.delay_s(1, MAX_BATCH) == 0.0


def test_tiles_that_come_together_count_each() -> None:
    rate = ArrivalRate()
    for index in range(40):
        rate.arrived(4, index * MAX_DELAY_S * 2)
    assert rate.delay_s(MAX_BATCH - 1, MAX_BATCH) > 0.0
