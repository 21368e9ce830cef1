"""The system's clock may be set, back or forward, at any moment: nothing is parked or lost."""

import os
import time
from collections.abc import Callable

import pytest

from service.inbox.files import STALE_S
from service.inbox.inbox import Inbox
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.inbox.bench import all_are, make, quick, work_until
from tests.service.inbox.conftest import mammogram, store
from tests.stow_server import stow_server

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


def test_a_worker_begins_by_letting_nothing_wait_for_longer(
    settings: Settings, inbox: Inbox, segmenter: Segmenter, receive: Receive
) -> None:
    receive(mammogram(1))
    inbox.processing.begin(1, 1e9)
    with stow_server() as pacs:
        work_until(inbox, quick(settings, pacs.url), segmenter, all_are(inbox, "delivered"))


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_no_file_is_old_by_the_systems_clock(
    inbox: Inbox, set_clock: Setter, seconds: float
) -> None:
    file, path = inbox.files.create()
    orphan = inbox.files.source("0" * 64)
    orphan.write_bytes(b"x")
    with file:
        # Files written while the clock was set back bear its time, and it is set right again.
        for each in (path, orphan):
            os.utime(each, (time.time() - 86_400,) * 2)
        set_clock(seconds)
        inbox.sweep()
        assert path.exists() and orphan.exists()


def test_a_file_is_old_once_it_was_seen_unchanged_for_so_long(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    grows, stays = (inbox.files.incoming / name for name in ("grows", "stays"))
    for path in (grows, stays):
        path.write_bytes(b"a")
    inbox.sweep()
    grows.write_bytes(b"ab")
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + STALE_S)
    inbox.sweep()
    assert grows.exists() and not stays.exists()


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_the_order_is_that_of_arrival(
    settings: Settings, inbox: Inbox, receive: Receive, set_clock: Setter, seconds: float
) -> None:
    receive(mammogram(1))
    set_clock(seconds)
    # Another process takes instances, too: `mammoseg scp`, started after the clock was set.
    with Inbox(settings) as other:
        store(other, mammogram(2))
    set_clock(0.0)
    receive(mammogram(3))
    assert [entry.id for entry in inbox.processing.due((), 5)] == [1, 2, 3]
    for id in (3, 2, 1):
        make(inbox, id, PACS)
        set_clock(seconds * (4 - id))
    queued = []
    while (delivery := inbox.deliveries.due(PACS)) is not None:
        queued.append(delivery.entry)
        inbox.deliveries.delivered(delivery)
    assert queued == [3, 3, 2, 2, 1, 1]


def test_what_is_finished_is_kept_for_its_days_whatever_the_clock_says(
    settings: Settings, inbox: Inbox, receive: Receive, set_clock: Setter
) -> None:
    receive(mammogram(1), mammogram(2))
    set_clock(-86_400)
    inbox.processing.refused(1, "decode-failed")
    set_clock(86_400)
    inbox.processing.refused(2, "decode-failed")
    assert inbox.purge(older_s=3600.0) == 0
    set_clock(2 * 86_400)
    assert inbox.purge(older_s=3600.0) == 0


def test_what_is_finished_tomorrow_by_a_clock_that_was_ahead_is_not_kept_for_ever(
    settings: Settings, inbox: Inbox, receive: Receive, set_clock: Setter
) -> None:
    receive(mammogram(1))
    set_clock(1e9)
    with Inbox(settings) as ahead:
        ahead.processing.refused(1, "decode-failed")
    set_clock(0.0)
    assert inbox.purge(older_s=0.0) == 0
    inbox.bound_waits(60.0)
    assert inbox.purge(older_s=0.0) == 1
