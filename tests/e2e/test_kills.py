import pytest

from tests.soak.kills import run

pytestmark = pytest.mark.e2e


def test_ten_kills_lose_nothing_and_double_nothing() -> None:
    tally = run(10, seed=10)
    assert tally.faults == [], tally
    assert tally.accepted > 0
    assert tally.states == {"delivered": tally.accepted}
    assert tally.results == 2 * tally.accepted
