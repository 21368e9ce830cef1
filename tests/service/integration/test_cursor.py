"""The place in the changes survives whatever happens while it is written."""

from pathlib import Path

import pytest

from service.integration.cursor import MAX_GIVEN_UP, Cursor

pytestmark = pytest.mark.unit


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "cursor.json"
    assert Cursor.load(file) == Cursor(file)
    Cursor(file, 42, ["a", "b"]).save()
    assert Cursor.load(file) == Cursor(file, 42, ["a", "b"])
    assert list(tmp_path.iterdir()) == [file]


def test_a_draft_that_was_not_finished_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = Cursor(tmp_path / "cursor.json", 1)
    cursor.save()

    def breaks_off(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", breaks_off)
    cursor.last = 2
    with pytest.raises(OSError, match="the disk is full"):
        cursor.save()
    assert Cursor.load(cursor.file).last == 1


def test_the_oldest_given_up_are_forgotten(tmp_path: Path) -> None:
    names = [str(number) for number in range(MAX_GIVEN_UP + 5)]
    cursor = Cursor(tmp_path / "cursor.json", 1, names)
    cursor.save()
    assert Cursor.load(cursor.file).given_up == names[5:]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"last": "1", "given_up": []}', "\N{SNOWMAN}"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cursor.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is not a cursor"):
        Cursor.load(file)
