from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.capacity.limiter import RequestLimiter
from service.capacity.shares import ACTIVE_S, MAX_CALLERS, Shares
from service.errors import Overloaded, TooManyRequests
from tests.service.capacity.test_limiter import limiter_of

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fill(shares: Shares, caller: str) -> int:
    """Take all that a caller may have; return how many that were."""
    count = 0
    while shares.may_take(caller):
        shares.take(caller)
        count += 1
    return count


def test_one_alone_has_all_but_a_reserve() -> None:
    assert fill(Shares(32), "a") == 28
    assert fill(Shares(1), "a") == 1
    assert fill(Shares(2), "a") == 1


def test_one_who_comes_finds_a_place_at_once_and_has_its_part_as_places_come_free() -> None:
    shares = Shares(32)
    fill(shares, "a")
    assert shares.may_take("b")
    shares.take("b")
    for _ in range(12):
        shares.give_back("a")
        assert not shares.may_take("a")
    shares.give_back("a")
    assert shares.may_take("a")
    assert fill(shares, "b") == 15


def test_three_have_a_third_each() -> None:
    shares = Shares(30, Clock())
    for caller in "abc":
        shares.may_take(caller)
    assert [fill(shares, caller) for caller in "abc"] == [10, 10, 10]


def test_who_wants_nothing_any_more_counts_no_more() -> None:
    clock = Clock()
    shares = Shares(32, clock)
    shares.may_take("a")
    assert fill(shares, "b") == 16
    clock.now += ACTIVE_S + 0.1
    assert fill(shares, "b") == 12
    # One that holds something counts for as long as it does.
    assert fill(shares, "c") == 16


def test_nobody_is_forgotten_who_holds_a_place_and_the_table_is_bounded() -> None:
    shares = Shares(32, Clock())
    shares.take("a")
    for number in range(10_000):
        shares.may_take(str(number))
    assert len(shares._wanted_at) == MAX_CALLERS
    assert not shares.may_take("a")
    shares.give_back("a")
    assert not shares._held


def test_callers_whom_nobody_asked_are_not_counted() -> None:
    shares = Shares(1)
    assert shares.may_take(None)
    shares.take(None)
    shares.give_back(None)
    assert shares.may_take(None) and not shares._wanted_at


@pytest.fixture
def limiter() -> Iterator[RequestLimiter]:
    limiter = limiter_of(slots=8)
    yield limiter
    limiter.close()


def test_one_key_takes_not_all_slots_and_another_gets_in_at_once(limiter: RequestLimiter) -> None:
    with ExitStack() as held:
        for _ in range(7):
            held.enter_context(limiter.receiving("images", "a")).take()
        with pytest.raises(TooManyRequests) as refused, limiter.receiving("images", "a"):
            pass
        assert refused.value.code == "share" and int(refused.value.headers["Retry-After"]) >= 1
        held.enter_context(limiter.receiving("images", "b")).take()
        with pytest.raises(Overloaded), limiter.receiving("images", "b"):
            pass
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(limiter.receiving("images", "a")).take()
        with pytest.raises(TooManyRequests), limiter.receiving("images", "a"):
            pass


def test_one_key_that_sends_slowly_leaves_others_room_to_send(limiter: RequestLimiter) -> None:
    with ExitStack() as held:
        with pytest.raises(TooManyRequests):
            for _ in range(257):
                held.enter_context(limiter.receiving("images", "a"))
        for _ in range(32):
            held.enter_context(limiter.receiving("images", "b"))


def test_without_keys_all_slots_are_anybodys(limiter: RequestLimiter) -> None:
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(limiter.receiving("images")).take()
        with pytest.raises(Overloaded), limiter.receiving("images"):
            pass
