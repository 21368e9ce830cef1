"""A folder and the PostgreSQL that it belongs to: whoever finds another there does nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from service.doctor.rehearsal import rehearse_inbox
from service.errors import StartupError
from service.inbox.inbox import Inbox
from service.inbox.marker import MARKER
from service.settings import Settings
from tests.service.inbox.bench import make, states
from tests.service.inbox.conftest import ON_POSTGRESQL, mammogram, opened, store
from tests.service.inbox.replicas import at_once

pytestmark = [pytest.mark.integration, *ON_POSTGRESQL]


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """Return the settings of a replica on whose machine another folder is in the share's place."""
    return Settings.model_validate(settings.model_dump() | {"inbox": folder})


def refuse_to_start(settings: Settings) -> str:
    """See that neither a start nor the doctor takes the folder, again and again; returns why."""
    for _ in range(2):
        for begin in (Inbox, rehearse_inbox):
            with pytest.raises(StartupError, match="is the share mounted") as refused:
                begin(settings)
            assert refused.value.may_pass
    assert not settings.inbox.exists() or not any(settings.inbox.iterdir())
    return str(refused.value)


def as_an_earlier_version_left_it(settings: Settings) -> None:
    """Take away what ties folder and database, which earlier versions did not make."""
    with Inbox(settings) as inbox, inbox._database.transaction() as connection:
        connection.execute("DROP TABLE identity")
        connection.execute("DELETE FROM version WHERE number > 1")
    (settings.inbox / MARKER).unlink()


@pytest.mark.parametrize("is_made", [False, True])
def test_a_replica_whose_share_is_not_mounted_does_not_start(
    settings: Settings, tmp_path: Path, is_made: bool
) -> None:
    Inbox(settings).close()
    folder = tmp_path / "unmounted"
    if is_made:
        folder.mkdir(mode=0o700)
    refuse_to_start(elsewhere(settings, folder))
    rehearse_inbox(settings)
    Inbox(settings).close()


def test_the_folder_of_another_inbox_is_refused(
    settings: Settings, tmp_path: Path, postgres: Any
) -> None:
    Inbox(settings).close()
    other = elsewhere(settings, tmp_path / "other")
    shutil.copytree(settings.inbox, other.inbox)
    (other.inbox / MARKER).write_text("0" * 32)
    for begin in (Inbox, rehearse_inbox):
        with pytest.raises(StartupError, match="is not the folder of its database"):
            begin(other)


def test_replicas_that_start_at_once_on_an_old_inbox_agree(settings: Settings) -> None:
    with Inbox(settings) as inbox:
        store(inbox, mammogram(1))
    as_an_earlier_version_left_it(settings)
    rehearse_inbox(settings)
    started = at_once(*(lambda: Inbox(settings) for _ in range(4)))
    for each in started:
        assert isinstance(each, Inbox)
        each.files.check()
        each.close()
    assert len((settings.inbox / MARKER).read_text().strip()) == 32


@pytest.mark.parametrize("kept", ["sources", "results", "nothing"])
def test_an_unmounted_replica_that_starts_first_on_an_old_inbox_is_refused(
    settings: Settings, tmp_path: Path, kept: str
) -> None:
    with opened(settings) as inbox:
        store(inbox, mammogram(1))
        (entry,) = inbox.processing.due((), 1)
        if kept != "sources":
            make(inbox, entry.id, "pacs")
            inbox.processing.source_gone(entry.id)
            inbox.files.discard_source(entry.digest)
        if kept == "nothing":
            delivery = inbox.deliveries.due("pacs")
            while delivery is not None:
                inbox.deliveries.delivered(delivery)
                delivery = inbox.deliveries.due("pacs")
            for digest in inbox.deliveries.results_gone(entry.id):
                inbox.files.discard_result(digest)
    as_an_earlier_version_left_it(settings)
    refuse_to_start(elsewhere(settings, tmp_path / "unmounted"))
    with Inbox(settings) as inbox:
        inbox.files.check()


def test_folders_that_an_earlier_start_without_the_share_made_do_not_pass_for_the_inbox(
    settings: Settings, tmp_path: Path
) -> None:
    with Inbox(settings) as inbox:
        store(inbox, mammogram(1))
    as_an_earlier_version_left_it(settings)
    other = elsewhere(settings, tmp_path / "unmounted")
    shutil.copytree(settings.inbox, other.inbox, ignore=shutil.ignore_patterns("*.dcm"))
    with pytest.raises(StartupError, match="is the share mounted"):
        Inbox(other)


def test_an_operator_may_say_that_an_empty_folder_is_the_right_one(
    settings: Settings, tmp_path: Path
) -> None:
    with Inbox(settings) as inbox:
        store(inbox, mammogram(1))
    anew = elsewhere(settings, tmp_path / "anew")
    said = refuse_to_start(anew)
    word = said.split(" into ")[0].rsplit(" ", 1)[1]
    anew.inbox.mkdir(mode=0o700, exist_ok=True)
    (anew.inbox / MARKER).write_text(f"{word}\n")
    with Inbox(anew) as inbox:
        inbox.files.check()
        assert states(inbox) == [("received", None)]
