import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.batch.fingerprint import HEAD_BYTES, Fingerprint
from service.batch.journal import NAME, TAKEN, Journal
from service.batch.results import BadName, NotWritten
from service.batch.rows import to_csv
from service.batch.sources import Source

pytestmark = pytest.mark.unit

ROW = {"score": 0.5}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "a.dcm").write_bytes(b"image")
    return Source(tmp_path / "a.dcm", "a", True)


def seen(source: Source) -> Fingerprint:
    return Fingerprint.of(source.path.stat(), source.path.read_bytes())


def done(folder: Path, source: Source, made_by: str = "model", files: str = "a.json") -> None:
    folder.mkdir(exist_ok=True)
    with Journal(folder, made_by) as journal:
        journal.claim(source, seen(source), {files: b"{}"})
        (folder / files).write_bytes(b"{}")
        journal.add(source, seen(source), {files: 2}, ROW)


def test_what_is_done_is_known_to_the_next(tmp_path: Path, source: Source) -> None:
    done(tmp_path / "out", source)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(source, ["a.json"]) == ROW


def _other_model(folder: Path, source: Source) -> str:
    return "other model"


def _changed(folder: Path, source: Source) -> str:
    source.path.write_bytes(b"another")
    return "model"


def _changed_in_secret(folder: Path, source: Source) -> str:
    put_in_its_place(source, b"gamei")
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
    [_other_model, _changed, _changed_in_secret, _shortened, _deleted, _broken_off, _rubbish],
)
def test_what_is_not_the_same_is_done_again(
    tmp_path: Path, source: Source, change: Callable[[Path, Source], str]
) -> None:
    done(tmp_path / "out", source)
    with Journal(tmp_path / "out", change(tmp_path / "out", source)) as journal:
        assert journal.done(source, ["a.json"]) is None


def test_a_file_that_was_moved_or_touched_is_the_same_and_read_whole_once(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(tmp_path / "out", source)
    moved = Source(source.path.rename(tmp_path / "b.dcm"), "a", True)
    os.utime(moved.path, ns=(0, 0))
    row = ROW | {"file": str(moved.path)}
    with Journal(tmp_path / "out", "model") as journal:
        assert not journal.is_taken(moved)
        assert journal.done(moved, ["a.json"]) == row
    monkeypatch.setattr("service.batch.journal_line.digest_of", lambda _: pytest.fail("read whole"))
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(moved, ["a.json"]) == row


@pytest.mark.parametrize("path", ["other.dcm", "a.dcm"])
@pytest.mark.parametrize("other", [b"other image", b"gamei"])
def test_a_name_that_results_of_another_image_have_is_taken(
    tmp_path: Path, source: Source, path: str, other: bytes
) -> None:
    """As that of the next patient's disc in the same drive, or of the next folder of an export."""
    done(tmp_path / "out", source)
    second = Source(tmp_path / path, "a", True)
    put_in_its_place(source, other, second.path)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(second, ["a.json"]) is None
        assert journal.is_taken(second)
        with pytest.raises(BadName):
            journal.claim(second, seen(second), {"a.json": b"{}"})
        (tmp_path / "out" / "a.json").unlink()
        assert not journal.is_taken(second)


def put_in_its_place(source: Source, content: bytes, path: Path | None = None) -> None:
    """Write another file there, of the time that the first one had."""
    told = source.path.stat()
    path = path or source.path
    path.write_bytes(content)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def test_images_that_begin_alike_are_told_apart_at_another_path(
    tmp_path: Path, source: Source
) -> None:
    head = b"h" * HEAD_BYTES
    put_in_its_place(source, head + b"anna")
    done(tmp_path / "out", source)
    other = Source(tmp_path / "b.dcm", "a", True)
    put_in_its_place(source, head + b"bert", other.path)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(other, ["a.json"]) is None
        assert journal.is_taken(other)


@pytest.mark.parametrize("start", [b"II*\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_films_that_begin_with_the_same_black_rows_are_told_apart_at_one_path(
    tmp_path: Path, source: Source, start: bytes
) -> None:
    black = start + bytes(HEAD_BYTES)
    put_in_its_place(source, black + b"anna")
    done(tmp_path / "out", source)
    put_in_its_place(source, black + b"bert")
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(source, ["a.json"]) is None
        assert journal.is_taken(source)
        put_in_its_place(source, black + b"anna")
        assert journal.done(source, ["a.json"]) == ROW


def test_a_row_without_files_is_a_result_too(tmp_path: Path, source: Source) -> None:
    out = tmp_path / "out"
    with Journal(out, "model") as journal:
        journal.add(source, seen(source), {}, ROW)
        put_in_its_place(source, b"gamei")
        assert journal.is_taken(source)
        assert list(journal.rows_beside(())) == [ROW]


def as_of_a_version_without_digests(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / NAME).read_text().splitlines()]
    for line in lines:
        del line["head"], line["digest"], line["digests"]
    (folder / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_lines_of_a_version_that_wrote_no_digest_are_of_the_file_as_it_was_left(
    tmp_path: Path, source: Source
) -> None:
    done(tmp_path / "out", source)
    as_of_a_version_without_digests(tmp_path / "out")
    other = Source(tmp_path / "b.dcm", "a", True)
    put_in_its_place(source, b"image", other.path)
    with Journal(tmp_path / "out", "model") as journal:
        assert journal.done(source, ["a.json"]) == ROW
        assert not journal.is_taken(source)
        assert journal.done(other, ["a.json"]) is None
        assert journal.is_taken(other)
        journal.claim(source, seen(source), {"a-seg.dcm": b"{}"})


def test_the_rows_of_all_images_are_those_whose_results_are_there(
    tmp_path: Path, source: Source
) -> None:
    out = tmp_path / "out"
    done(out, source)
    with Journal(out, "other model") as journal:
        assert list(journal.rows_beside({"a"})) == []
        assert list(journal.rows_beside({"b"})) == [ROW]
        (out / "a.json").unlink()
        assert list(journal.rows_beside({"b"})) == []


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
        journal.claim(source, seen(source), {"a-seg.dcm": b"{}"})
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
        journal.claim(source, seen(source), {"a.json": b"{}"})
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
    (tmp_path / "scores.csv").write_bytes(to_csv([ROW]))
    with Journal(tmp_path, "model") as journal, pytest.raises(BadName):
        journal.reserve_of_run("scores.csv")
    as_of_a_version_without_digests(tmp_path)
    _, line = (tmp_path / NAME).read_text().splitlines(keepends=True)
    (tmp_path / NAME).write_text(line)
    with Journal(tmp_path, "model") as journal:
        journal.reserve_of_run("scores.csv")
        journal.claim_of_run("scores.csv", b"file")


def test_the_table_is_the_runs_own_as_long_as_it_is_as_one_wrote_it(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    with Journal(tmp_path, "model") as journal:
        journal.reserve_of_run("scores.csv")
    table.write_bytes(b"mine, where a run ended before it wrote any")
    with Journal(tmp_path, "model") as journal, pytest.raises(BadName):
        journal.reserve_of_run("scores.csv")
    table.unlink()
    # Written; claimed by a run that was killed before; of a run that was killed after.
    for before, after in ((b"a,b\n", b"a,b\n"), (b"c,d\n", b"a,b\n"), (b"e,f\n", b"e,f\n")):
        with Journal(tmp_path, "model") as journal:
            journal.reserve_of_run("scores.csv")
            journal.claim_of_run("scores.csv", before)
            table.write_bytes(after)
    table.write_bytes(b"e,F\n")
    with Journal(tmp_path, "model") as journal:
        with pytest.raises(BadName):
            journal.reserve_of_run("scores.csv")
        with pytest.raises(BadName):
            journal.claim_of_run("scores.csv", b"a,b\n")
    with Journal(tmp_path, "model", overwrite=True) as journal:
        journal.reserve_of_run("scores.csv")


def written(folder: Path, source: Source, content: bytes, made_by: str = "model") -> None:
    with Journal(folder, made_by) as journal:
        journal.claim(source, seen(source), {"a.json": content})
        (folder / "a.json").write_bytes(content)
        journal.add(source, seen(source), {"a.json": len(content)}, ROW)


@pytest.mark.parametrize("made_by", ["model", "new model"])
def test_a_result_of_the_same_size_and_another_content_is_somebodys(
    tmp_path: Path, source: Source, made_by: str
) -> None:
    """As a binary mask is, however it was corrected."""
    out = tmp_path / "out"
    written(out, source, b'{"a":1}', "old model")
    written(out, source, b'{"a":2}')
    for content, problem in ((b'{"a":2}', None), (b'{"a":3}', TAKEN), (b'{"a":1}', TAKEN)):
        (out / "a.json").write_bytes(content)
        with Journal(out, made_by) as journal:
            assert journal.problem("a", ["a.json", "a-seg.dcm"]) == problem
    with Journal(out, "model") as journal:
        # Nobody is about to replace it, and so nobody reads it.
        assert journal.done(source, ["a.json"]) == ROW
    as_of_a_version_without_digests(out)
    with Journal(out, made_by) as journal:
        assert journal.problem("a", ["a.json"]) == TAKEN


def test_what_the_disk_left_of_a_result_is_nobodys_correction(
    tmp_path: Path, source: Source
) -> None:
    out = tmp_path / "out"
    written(out, source, b'{"a": 1}')
    for content, problem in ((b'{"a', None), (b"\0" * 8, None), (b'{"a": 1, "b', TAKEN)):
        (out / "a.json").write_bytes(content)
        with Journal(out, "model") as journal:
            assert journal.problem("a", ["a.json"]) == problem


def test_what_a_killed_run_claimed_is_its_own_as_it_was_before_or_is_to_be(
    tmp_path: Path, source: Source
) -> None:
    out = tmp_path / "out"
    written(out, source, b'{"a":1}')
    with Journal(out, "model") as journal:
        journal.claim(source, seen(source), {"a.json": b'{"a":2}'})
    for content, problem in ((b'{"a":1}', None), (b'{"a":2}', None), (b'{"a":3}', TAKEN)):
        (out / "a.json").write_bytes(content)
        with Journal(out, "model") as journal:
            assert journal.problem("a", ["a.json"]) == problem


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
