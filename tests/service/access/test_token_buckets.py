import pytest

from service.access.token_buckets import TokenBuckets

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_a_minute_and_then_as_they_come() -> None:
    clock = Clock()
    buckets = TokenBuckets(60, clock=clock)
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60
    assert buckets.take("a") == pytest.approx(1.0)
    clock.now += 0.25
    assert buckets.take("a") == pytest.approx(0.75)
    clock.now += 0.75
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0
    clock.now += 3600
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60
    assert buckets.take("a") > 0


def test_one_caller_costs_another_nothing() -> None:
    buckets = TokenBuckets(1, clock=Clock())
    assert buckets.take("a") == 0 and buckets.take("a") > 0
    assert buckets.take("b") == 0


def test_the_table_is_bounded_and_forgets_who_asked_longest_ago() -> None:
    buckets = TokenBuckets(1, most=3, clock=Clock())
    for caller in ("a", "b", "c", "a", "d"):
        buckets.take(caller)
    assert len(buckets) == 3
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0
    for number in range(100_000):
        buckets.take(str(number))
    assert len(buckets) == 3
