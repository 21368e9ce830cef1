import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.cancellation import CancelToken
from service.errors import CallerLeft, DeadlineExceeded

pytestmark = pytest.mark.unit


def test_without_a_deadline_it_lasts() -> None:
    CancelToken().raise_if_cancelled()
    assert CancelToken().remaining_s == threading.TIMEOUT_MAX


def test_it_ends_with_the_deadline() -> None:
    assert CancelToken(0).remaining_s == 0
    with pytest.raises(DeadlineExceeded):
        CancelToken(0).raise_if_cancelled()


def test_a_deadline_can_be_brought_forward_and_not_put_off() -> None:
    token = CancelToken(60)
    token.expire()
    token.expire()
    with pytest.raises(DeadlineExceeded):
        token.raise_if_cancelled()


def test_a_wait_ends_when_it_is_done_before_anything_else() -> None:
    condition, token = threading.Condition(), CancelToken(0)
    with condition:
        token.wait_for(condition, lambda: True)
        with pytest.raises(DeadlineExceeded):
            token.wait_for(condition, lambda: False)


def test_leaving_wakes_what_waits() -> None:
    condition, token, asleep = threading.Condition(), CancelToken(), threading.Event()

    def done() -> bool:
        asleep.set()
        return False

    def wait() -> None:
        with condition:
            token.wait_for(condition, done)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait)
        asleep.wait()
        token.cancel()
        with pytest.raises(CallerLeft):
            waiting.result(timeout=30)


def test_who_left_before_does_not_begin_to_wait() -> None:
    condition, token = threading.Condition(), CancelToken()
    token.cancel()
    with condition, pytest.raises(CallerLeft):
        token.wait_for(condition, lambda: False)
