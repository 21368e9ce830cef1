import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.batch.journal import NAME, TAKEN, Journal
from service.batch.results import NotWritten
from service.batch.sources import Source

pytestmark = pytest.mark.unit

ROW = {"score": 0.5}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "a.dcm").write_bytes(b"image")
    return Source(tmp_path / "a.dcm", "a", True)


def done(folder: Path, source: Source, made_by: str = "model", files: str = "a.json") -> None:
    folder.mkdir(exist_ok=True)
    (folder / files).write_bytes(b"{}")
    with Journal(folder, made_by) as journal:
        journal.add(source, source.path.stat(), {files: 2}, ROW)


def test_what_is_done_is_known_to_the_next(tmp_path: Path, source: Source) -> None:
    done(tmp_path / "out", source)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(source, ["a.json"]) == ROW


def _other_model(folder: Path, source: Source) -> str:
    return "other model"


def _changed(folder: Path, source: Source) -> str:
    source.path.write_bytes(b"another")
    return "model"


def _touched(folder: Path, source: Source) -> str:
    os.utime(source.path, ns=(0, 0))
    return "model"


def _shortened(folder: Path, source: Source) -> str:
    (folder / "a.json").write_bytes(b"{")
    return "model"


def _deleted(folder: Path, source: Source) -> str:
    (folder / "a.json").unlink()
    return "model"


def _broken_off(folder: Path, source: Source) -> str:
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text[: len(text) // 2])
    return "model"


def _rubbish(folder: Path, source: Source) -> str:
    (folder / NAME).write_text('[1]\n{"name": 3}\nnull\n')
    return "model"


@pytest.mark.parametrize(
    "change",
    [_other_model, _changed, _touched, _shortened, _deleted, _broken_off, _rubbish],
)
def test_what_is_not_the_same_is_done_again(
    tmp_path: Path, source: Source, change: Callable[[Path, Source], str]
) -> None:
    done(tmp_path / "out", source)
    with Journal(tmp_path / "out", change(tmp_path / "out", source)) as journal:
        assert journal.done(source, ["a.json"]) is None


def test_a_file_that_was_moved_is_the_same(tmp_path: Path, source: Source) -> None:
    done(tmp_path / "out", source)
    moved = Source(source.path.rename(tmp_path / "b.dcm"), "a", True)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(moved, ["a.json"]) == ROW
        assert not journal.is_taken(moved)


def test_a_name_that_results_of_another_file_have_is_taken(tmp_path: Path, source: Source) -> None:
    done(tmp_path / "out", source)
    (tmp_path / "other.dcm").write_bytes(b"other image")
    other = Source(tmp_path / "other.dcm", "a", True)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.is_taken(other)
        (tmp_path / "out" / "a.json").unlink()
        assert not journal.is_taken(other)


def test_results_of_further_formats_are_added_and_not_those_of_another_model(
    tmp_path: Path, source: Source
) -> None:
    done(tmp_path / "out", source)
    done(tmp_path / "out", source, files="a-seg.dcm")
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(source, ["a.json", "a-seg.dcm"]) == ROW
    done(tmp_path / "out", source, "new model", "a-seg.dcm")
    with Journal(tmp_path / "out", "new model") as journal:
        assert journal.done(source, ["a.json", "a-seg.dcm"]) is None


def test_what_a_killed_run_was_about_to_write_is_its_own(tmp_path: Path, source: Source) -> None:
    out = tmp_path / "out"
    done(out, source)
    with Journal(out, "model") as journal:
        journal.claim(source, source.path.stat(), ["a-seg.dcm"])
    (out / "a-seg.dcm").write_bytes(b"")
    (out / "a-mask.png").write_bytes(b"drawn by hand")
    with Journal(out, "model") as journal:
        assert journal.done(source, ["a.json"]) == ROW
        assert journal.done(source, ["a-seg.dcm"]) is None
        assert journal.problem("a", ["a.json", "a-seg.dcm"]) is None
        assert journal.problem("a", ["a-mask.png"]) == TAKEN
        assert journal.problem("b", ["a-seg.dcm"]) == TAKEN


def test_a_claim_alone_is_no_result(tmp_path: Path, source: Source) -> None:
    with Journal(tmp_path / "out", "model") as journal:
        journal.claim(source, source.path.stat(), ["a.json"])
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(source, []) is None


def test_results_of_an_earlier_model_are_the_journals_own(tmp_path: Path, source: Source) -> None:
    done(tmp_path / "out", source)
    done(tmp_path / "out", source, "new model", "a-seg.dcm")
    with Journal(tmp_path / "out", "new model") as journal:
        assert journal.problem("a", ["a.json"]) is None


def test_the_table_of_a_version_that_claimed_nothing_is_known_for_its_own(
    tmp_path: Path, source: Source
) -> None:
    done(tmp_path, source)
    (tmp_path / "scores.csv").touch()
    with Journal(tmp_path, "model") as journal:
        journal.claim_of_run("scores.csv")


def test_a_line_that_was_broken_off_does_not_take_the_next_one_with_it(
    tmp_path: Path, source: Source
) -> None:
    (tmp_path / NAME).write_text('{"name": "b", "sou')
    done(tmp_path, source)
    with Journal(tmp_path, "model") as journal:
        assert journal.done(source, ["a.json"]) == ROW


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, "model"),
        pytest.raises(NotWritten, match="another process writes into"),
    ):
        Journal(tmp_path, "model")
    Journal(tmp_path, "model").close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritten, match="cannot be written: Not a directory"):
        Journal(tmp_path / "file" / "out", "model")
