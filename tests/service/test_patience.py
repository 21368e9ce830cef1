import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import CallerLeft, DeadlineExceeded
from service.patience import Patience

pytestmark = pytest.mark.unit


def test_without_a_deadline_it_lasts() -> None:
    Patience().check()
    assert Patience().seconds == threading.TIMEOUT_MAX


def test_it_ends_with_the_deadline() -> None:
    assert Patience(0).seconds == 0
    with pytest.raises(DeadlineExceeded):
        Patience(0).check()


def test_a_deadline_can_be_brought_forward_and_not_put_off() -> None:
    patience = Patience(60)
    patience.expire()
    patience.expire()
    with pytest.raises(DeadlineExceeded):
        patience.check()


def test_a_wait_ends_when_it_is_done_before_anything_else() -> None:
    condition, patience = threading.Condition(), Patience(0)
    with condition:
        patience.wait_for(condition, lambda: True)
        with pytest.raises(DeadlineExceeded):
            patience.wait_for(condition, lambda: False)


def test_leaving_wakes_what_waits() -> None:
    condition, patience, asleep = threading.Condition(), Patience(), threading.Event()

    def done() -> bool:
        asleep.set()
        return False

    def wait() -> None:
        with condition:
            patience.wait_for(condition, done)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait)
        asleep.wait()
        patience.leave()
        with pytest.raises(CallerLeft):
            waiting.result(timeout=30)


def test_who_left_before_does_not_begin_to_wait() -> None:
    condition, patience = threading.Condition(), Patience()
    patience.leave()
    with condition, pytest.raises(CallerLeft):
        patience.wait_for(condition, lambda: False)
