import pytest

from service.backoff import Backoff

pytestmark = pytest.mark.unit


def test_delays_double_up_to_the_longest_and_then_end() -> None:
    backoff = Backoff(first_s=2.0, longest_s=10.0, attempts=6)
    for attempts, whole in enumerate([2.0, 4.0, 8.0, 10.0, 10.0], start=1):
        delays = [backoff.delay_s(attempts) for _ in range(50)]
        assert all(delay is not None and whole / 2 <= delay <= whole for delay in delays)
        assert len(set(delays)) > 40
    assert backoff.delay_s(6) is None


def test_a_pause_is_bounded_however_often_it_failed() -> None:
    assert Backoff(first_s=2.0, longest_s=10.0, attempts=1).pause_s(100_000) <= 10.0
