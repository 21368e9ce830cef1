"""The system's clock may be set, back or forward, at any moment: nothing is parked or lost."""

import time
from collections.abc import Callable

import pytest

from service.inbox.inbox import Inbox
from service.settings import Settings
from tests.service.inbox.conftest import mammogram
from tests.service.inbox.test_instance_store import make

pytestmark = pytest.mark.integration

Receive = Callable[..., object]
Setter = Callable[[float], None]
PACS = "pacs/dicom-web"


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Setter:
    """Set the system's clock so many seconds forward, or back."""
    real = time.time
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: real() + seconds)


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_what_came_before_is_processed_and_delivered_now(
    inbox: Inbox, receive: Receive, set_clock: Setter, seconds: float
) -> None:
    receive(mammogram(1))
    set_clock(seconds)
    receive(mammogram(2))
    assert [entry.id for entry in inbox.processing.due((), 5)]
    make(inbox, 1, PACS)
    set_clock(2 * seconds)
    assert inbox.deliveries.due(PACS) is not None


def test_waits_are_as_long_as_before(inbox: Inbox, receive: Receive, set_clock: Setter) -> None:
    receive(mammogram(1), mammogram(2))
    make(inbox, 2, PACS)
    inbox.processing.begin(1, 0.0)
    inbox.processing.failed(1, "busy", 0.01)
    delivery = inbox.deliveries.due(PACS)
    assert delivery is not None
    inbox.deliveries.failed(delivery, "unreachable", 0.01)
    set_clock(-86_400)
    time.sleep(0.02)
    assert [entry.id for entry in inbox.processing.due((), 5)] == [1]
    assert inbox.deliveries.due(PACS) is not None
    inbox.processing.failed(1, "busy", 60.0)
    set_clock(86_400)
    assert inbox.processing.due((), 5) == []


def test_a_clock_set_back_before_the_start_parks_nothing_for_longer_than_a_wait(
    settings: Settings, inbox: Inbox, receive: Receive, set_clock: Setter
) -> None:
    receive(mammogram(1))
    inbox.processing.begin(1, 10.0)
    set_clock(-1e9)
    with Inbox(settings) as later:
        assert later.processing.due((), 5) == []
        later.bound_waits(0.0)
        assert [entry.id for entry in later.processing.due((), 5)] == [1]


def test_a_clock_set_forward_makes_no_file_old(inbox: Inbox, set_clock: Setter) -> None:
    file, path = inbox.files.create()
    with file:
        set_clock(86_400)
        inbox.sweep()
        assert path.exists()
