"""A share that is lost while a replica runs: it takes nothing, gives nothing up, and says so."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import Overloaded
from service.inbox.deliverer import Deliverer
from service.inbox.files import Files
from service.inbox.gauges import InboxGauges
from service.inbox.housekeeper import Housekeeper
from service.inbox.inbox import Inbox
from service.inbox.marker import FolderFails
from service.inbox.processor import Processor
from service.inbox.reporter import Reporter
from service.inbox.worker import InboxWorker
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.inbox.bench import all_are, quick, states
from tests.service.inbox.conftest import both_databases, mammogram, store
from tests.service.inbox.replicas import PACS
from tests.service.inbox.test_worker_faults import until, watched
from tests.stow_server import StowServer

pytestmark = pytest.mark.integration


class Share:
    """The sources and results of an inbox, which can be lost, and what is in their place then.

    The folder itself stays: SQLite's file lies in it, and is watched otherwise.
    """

    NAMES = ("inbox.id", "sources", "results")

    def __init__(self, folder: Path, has_folders: bool) -> None:
        self.folder, self.aside = folder, folder.with_name("aside")
        self.aside.mkdir()
        self._has_folders = has_folders

    def lose(self) -> None:
        for name in self.NAMES:
            if (self.folder / name).exists():
                (self.folder / name).rename(self.aside / name)
        if self._has_folders:
            for name in self.NAMES[1:]:
                (self.folder / name).mkdir()

    def mount(self) -> None:
        for name in reversed(self.NAMES):
            if (self.aside / name).exists():
                if (self.folder / name).exists():
                    (self.folder / name).rmdir()
                (self.aside / name).rename(self.folder / name)


@pytest.fixture
def share(settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Share:
    monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.05)
    # What an earlier version made where the share is mounted is told by the marker alone.
    return Share(settings.inbox, has_folders=settings.inbox_database is not None)


def lose_once_before(
    monkeypatch: pytest.MonkeyPatch, share: Share, owner: type, name: str
) -> list[None]:
    """Lose the share as a method is called for the first time; the list says that it was."""
    method: Callable[..., Any] = getattr(owner, name)
    lost: list[None] = []

    def lose_and_call(*arguments: Any, **named: Any) -> Any:
        if not lost:
            lost.append(None)
            share.lose()
        return method(*arguments, **named)

    monkeypatch.setattr(owner, name, lose_and_call)
    return lost


def away_and_back(
    inbox: Inbox, settings: Settings, segmenter: Segmenter, share: Share, lost: list[None]
) -> None:
    """Work until the share is lost; see that nothing is given up, and that all goes on then."""

    async def watch(worker: InboxWorker, shown: Callable[[], float | None]) -> None:
        await until(lambda: bool(lost) and worker.is_failing)
        assert shown() == 1
        assert {state for state, _ in states(inbox)} <= {"received", "processed", "refused"}
        share.mount()
        await until(lambda: all_are(inbox, "delivered")() or all_are(inbox, "refused")())
        await until(lambda: not worker.is_failing)

    watched(inbox, settings, segmenter, watch)
    assert all(letter.state != "dead" for letter in inbox.instances.deliveries(1))


@both_databases
def test_sources_are_processed_once_the_share_is_back(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    share: Share,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(inbox, *(mammogram(number) for number in (1, 2, 3)))
    lost = lose_once_before(monkeypatch, share, Processor, "_attempt")
    away_and_back(inbox, quick(settings, pacs.url), segmenter, share, lost)
    # One whose file comes back before the look at the folder is tried once more.
    assert max(entry.attempts for entry in inbox.instances.entries(None, 9)) <= 2
    assert len(pacs.received) == 6


@both_databases
def test_results_are_delivered_once_the_share_is_back(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    share: Share,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(inbox, mammogram())
    lost = lose_once_before(monkeypatch, share, Deliverer, "_attempt")
    away_and_back(inbox, quick(settings, pacs.url), segmenter, share, lost)
    assert [each.attempts for each in inbox.instances.deliveries(1)] == [1, 1]


@both_databases
def test_reports_are_made_once_the_share_is_back(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    share: Share,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(inbox, mammogram(Modality="CR"))
    lost = lose_once_before(monkeypatch, share, Reporter, "_make")
    away_and_back(inbox, quick(settings, pacs.url), segmenter, share, lost)
    assert len(pacs.received) == 1


@both_databases
def test_nothing_is_taken_meanwhile(inbox: Inbox, share: Share) -> None:
    store(inbox, mammogram(1))
    share.lose()
    with pytest.raises(Overloaded) as refused:
        store(inbox, mammogram(2))
    assert refused.value.code == "inbox-fails"
    assert states(inbox) == [("received", None)]
    assert not list(inbox.files.incoming.iterdir())
    share.mount()
    store(inbox, mammogram(2))


@both_databases
def test_nothing_is_forgotten_meanwhile(inbox: Inbox, share: Share) -> None:
    store(inbox, mammogram(1))
    share.lose()
    with pytest.raises(FolderFails):
        inbox.purge(("received",))
    assert states(inbox) == [("received", None)]


@both_databases
def test_a_full_disk_uses_up_no_attempt_of_an_instance(
    inbox: Inbox,
    settings: Settings,
    segmenter: Segmenter,
    pacs: StowServer,
    share: Share,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(inbox, mammogram())
    tries: list[None] = []
    create = Files.create

    def full(self: Files) -> Any:
        if len(tries) < 20:
            tries.append(None)
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(self)

    monkeypatch.setattr(Files, "create", full)
    away_and_back(inbox, quick(settings, pacs.url), segmenter, share, tries)
    assert [entry.attempts for entry in inbox.instances.entries(None, 9)] == [1]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_whoever_lacks_the_folder_lets_others_keep_house_and_work(
    inbox: Inbox, other: Inbox, settings: Settings, share: Share
) -> None:
    store(inbox, mammogram())
    metrics = Metrics()
    keeper = Housekeeper(inbox, settings, [PACS], InboxGauges(inbox, metrics, [PACS], 2**30))
    keeper.tidy()
    assert metrics.registry.get_sample_value("mammoseg_inbox_bytes")
    assert not other.lease.lead()
    share.lose()
    with pytest.raises(FolderFails):
        keeper.tidy()
    assert metrics.registry.get_sample_value("mammoseg_inbox_bytes") == 0
    assert other.lease.lead()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_was_claimed_before_the_share_was_lost_is_anybodys(inbox: Inbox, other: Inbox) -> None:
    store(inbox, mammogram(1))
    (entry,) = inbox.processing.due((), 1)
    inbox.processing.begin(entry.id, 3600.0)
    inbox.processing.undo(entry.id, 1)
    (taken,) = other.processing.due((), 1)
    assert (taken.id, taken.attempts) == (entry.id, 0)
