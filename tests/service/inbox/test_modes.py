"""Who may look into the inbox: its owner alone."""

from pathlib import Path

import pytest

from service.errors import StartupError
from service.inbox.files import Files
from service.inbox.inbox import DATABASE_FILE, Inbox
from service.settings import Settings

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o1777, 0o701])
@pytest.mark.parametrize("name", ["", "incoming", "sources", "results", "lost"])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    Files(tmp_path / "inbox")
    (tmp_path / "inbox" / name).chmod(mode)
    with pytest.raises(StartupError, match=rf"open to others \(mode {mode:04o}\)"):
        Files(tmp_path / "inbox")
    # Nor is it changed: it may be anybody's.
    assert (tmp_path / "inbox" / name).stat().st_mode & 0o7777 == mode


def test_a_group_may_enter_what_belongs_to_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Files(tmp_path / "inbox")
    (tmp_path / "inbox").chmod(0o2770)
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    Files(tmp_path / "inbox")
    (tmp_path / "inbox").chmod(0o2775)
    with pytest.raises(StartupError, match="open to others"):
        Files(tmp_path / "inbox")


def test_all_that_is_made_is_for_the_owner_alone(inbox: Inbox, settings: Settings) -> None:
    made = [settings.inbox / DATABASE_FILE, *settings.inbox.glob(f"{DATABASE_FILE}-*")]
    assert len(made) == 3
    assert {file.stat().st_mode & 0o777 for file in made} == {0o600}
    assert {
        folder.stat().st_mode & 0o777 for folder in settings.inbox.iterdir() if folder.is_dir()
    } == {0o700}
