import os
from pathlib import Path

import pytest

from service.system.file_watch import FileWatch, Look

pytestmark = pytest.mark.unit


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that counts as settled at once."""
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    file = tmp_path / "file"
    file.write_text("text")
    return file


def test_a_file_that_is_left_alone_is_not_due(file: Path) -> None:
    assert FileWatch([file]).look() == Look(is_due=False, has_changed=False)


def test_a_change_of_rights_is_a_change(file: Path) -> None:
    file.chmod(0o600)
    watch = FileWatch([file])
    file.chmod(0o644)
    assert watch.look() == Look(is_due=True, has_changed=True)
    assert watch.look() == Look(is_due=False, has_changed=False)


def test_a_change_whose_time_was_set_back_is_a_change(file: Path) -> None:
    watch, state = FileWatch([file]), file.stat()
    file.write_text("else")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert watch.look().has_changed


def test_a_file_whose_time_was_set_back_just_now_has_not_settled(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    os.utime(file, (1e9, 1e9))
    assert FileWatch([file]).look() == Look(is_due=True, has_changed=False)


def test_what_could_not_be_read_is_due_at_the_next_look(file: Path) -> None:
    watch = FileWatch([file])
    watch.mark_unread()
    assert watch.look() == Look(is_due=True, has_changed=False)
    assert watch.look() == Look(is_due=False, has_changed=False)
