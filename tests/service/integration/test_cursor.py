"""The place in the changes survives whatever happens while it is written."""

from itertools import pairwise
from pathlib import Path

import pytest

from service.integration.cursor import MAX_GIVEN_UP, Cursor, Mark

pytestmark = pytest.mark.unit


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "cursor.json"
    assert Cursor.load(file) == Cursor(file)
    marks = [Mark(40, "x", 41), Mark(42, "y", 50)]
    tip = Mark(50, "z", 50)
    Cursor(file, 42, ["a", "b"], marks, tip).save()
    assert Cursor.load(file) == Cursor(file, 42, ["a", "b"], marks, tip)
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
    assert list(tmp_path.iterdir()) == [cursor.file]


def test_the_oldest_given_up_are_forgotten(tmp_path: Path) -> None:
    names = [str(number) for number in range(MAX_GIVEN_UP + 5)]
    cursor = Cursor(tmp_path / "cursor.json", 1, names)
    cursor.save()
    assert Cursor.load(cursor.file).given_up == names[5:]


def test_a_cursor_of_a_version_that_knew_no_marks_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cursor.json"
    file.write_text('{"last": 42, "given_up": ["a"]}')
    assert Cursor.load(file) == Cursor(file, 42, ["a"])


def test_of_a_long_log_few_marks_are_kept_and_none_is_far_from_any_change(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "cursor.json", 0)
    for number in range(1, 10_001):
        cursor.move_to(Mark(number, f"change {number}", number))
        numbers = [mark[0] for mark in cursor.marks]
        assert numbers == sorted(numbers) and numbers[-1] == cursor.last == number
        assert len(numbers) <= 2 + number.bit_length()
        # From wherever the logs part, it goes back by four times as far as that is, at most.
        gaps = pairwise(numbers)
        assert all(number - older <= 4 * max(number - newer, 1) for older, newer in gaps)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", '{"last": "1", "given_up": []}', "\N{SNOWMAN}"),
        *('{"last": 1, "given_up": [], "marks": [[1]]}', '{"last": 1, "given_up": [], "marks": 1}'),
        '{"last": 1, "given_up": [], "marks": [[1, 2, 3]]}',
        '{"last": 1, "given_up": [], "tip": [1, 2, 3]}',
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cursor.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is not a cursor"):
        Cursor.load(file)
