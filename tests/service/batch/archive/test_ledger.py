import os
import sqlite3
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from service.batch.archive.items import FileItem, Item
from service.batch.archive.judge import Answer, Judged
from service.batch.archive.ledger import NAME, Ledger, OtherWork
from service.batch.fingerprint import HEAD_BYTES
from service.batch.results import NotWritten
from service.batch.run import OTHER_KINDS, ItemOutcome

pytestmark = pytest.mark.unit

HEAD = b"\x89PNG\r\n\x1a\n" + bytes(HEAD_BYTES)
BOUND = {"archive": "/mnt", "model": "a"}
ITEM, OTHER = FileItem(Path("/mnt/a.dcm")), FileItem(Path("/mnt/b.dcm"))


def judged(image: str = "1.2.3", digest: str = "d", content: bytes = b"{}") -> Judged:
    row = {"image": image, "score": 0.5, "decision": True}
    regions = ({"image": image, "number": 1}, {"image": image, "number": 2})
    return Judged(image, digest, row, regions, {f"images/{image}.json": content})


def done(item: Item = ITEM, made: Judged | None = None) -> Answer:
    return ItemOutcome(item, "done", made or judged())


def refused(item: Item, code: str = "dicom-unreadable") -> Answer:
    return ItemOutcome(item, "refused", problem=(code, "No."))


def test_what_is_done_is_settled_for_the_next_run(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        assert not ledger.is_settled(ITEM, "1 2")
        assert ledger.take(done(), "1 2") == ("done", None)
    with Ledger(tmp_path, BOUND) as ledger:
        assert ledger.is_settled(ITEM, "1 2")
        assert not ledger.is_settled(OTHER, "1 2")
    assert (tmp_path / "images" / "1.2.3.json").read_bytes() == b"{}"


def test_a_file_that_changed_or_lost_its_results_is_looked_at_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        ledger.take(done(), "1 2")
        assert not ledger.is_settled(ITEM, "1 3")
        (tmp_path / "images" / "1.2.3.json").write_bytes(b"{")
        assert not ledger.is_settled(ITEM, "1 2")
        (tmp_path / "images" / "1.2.3.json").unlink()
        assert not ledger.is_settled(ITEM, "1 2")
        ledger.take(done(), "1 2")
        assert ledger.is_settled(ITEM, "1 2")


@pytest.mark.parametrize(
    "corrected",
    [b'{"a": 2}', b'{"a": "by hand"}', b"{}", b"drawn"],
    ids=["same", "more", "less", "other"],
)
def test_a_result_that_somebody_corrected_is_left_and_what_is_lost_beside_it_made_again(
    tmp_path: Path, corrected: bytes
) -> None:
    mask, report = tmp_path / "images" / "1.2.3.json", tmp_path / "images" / "sr.json"
    made = replace(judged(), files={f"images/{one.name}": b'{"a": 1}' for one in (mask, report)})
    with Ledger(tmp_path, BOUND) as ledger:
        ledger.take(done(made=made), "1 2")
        mask.write_bytes(corrected)
        assert ledger.is_settled(ITEM, "1 2")
        # As of one that was touched, and of a copy.
        assert ledger.take(done(made=made), "1 3") == ("done", None)
        assert ledger.take(done(OTHER, made), "3 4") == ("duplicate", None)
        assert mask.read_bytes() == corrected
        for left in (b"", b'{"a'):
            report.write_bytes(left)
            assert not ledger.is_settled(ITEM, "1 3")
            assert ledger.take(done(made=made), "1 3") == ("done", None)
            assert (mask.read_bytes(), report.read_bytes()) == (corrected, b'{"a": 1}')
            assert ledger.is_settled(ITEM, "1 3")


@pytest.mark.parametrize("content", [b"image", b"gamei"])
def test_what_an_earlier_version_settled_is_read_whole_once_and_is_the_same_or_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    item, other = FileItem(tmp_path / "a.png"), FileItem(tmp_path / "b.dcm")
    for each in (item, other):
        each.path.write_bytes(b"image")
    out, of_earlier = tmp_path / "out", item.version().rpartition(" ")[0]
    with Ledger(out, BOUND) as ledger:
        ledger.take(done(item, judged(digest=sha256(b"image").hexdigest())), of_earlier)
        passed_over: Answer = ItemOutcome(other, "passed-over", problem=("no-pixel-data", "None."))
        ledger.take(passed_over, other.version().rpartition(" ")[0])
        told = item.path.stat()
        item.path.write_bytes(content)
        os.utime(item.path, ns=(told.st_atime_ns, told.st_mtime_ns))
        is_same = content == b"image"
        assert ledger.is_settled(item, item.version()) == is_same
        # Of which image it was, nothing is known.
        assert not ledger.is_settled(other, other.version())
        monkeypatch.setattr(FileItem, "is_of", lambda *_: pytest.fail("read whole"))
        if is_same:
            assert ledger.is_settled(item, item.version())
        item.path.unlink()
        assert not ledger.is_settled(item, item.version())


def test_a_film_of_which_an_earlier_version_knew_the_head_is_read_whole_once(
    tmp_path: Path,
) -> None:
    item, films = FileItem(tmp_path / "a.png"), [HEAD + b"anna", HEAD + b"bert"]
    item.path.write_bytes(films[0])
    told = item.path.stat()
    of_earlier = item.earlier_versions()[1]
    for film, is_same in zip(films, (True, False), strict=True):
        with Ledger(tmp_path / film[-4:].decode(), BOUND) as ledger:
            ledger.take(done(item, judged(digest=sha256(films[0]).hexdigest())), of_earlier)
            item.path.write_bytes(film)
            os.utime(item.path, ns=(told.st_atime_ns, told.st_mtime_ns))
            assert of_earlier in item.earlier_versions()
            assert ledger.is_settled(item, item.version()) == is_same


def test_what_was_refused_is_tried_again_and_what_was_passed_over_is_not(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        assert ledger.take(refused(ITEM), "1 2") == ("refused", ("dicom-unreadable", "No."))
        ledger.take(ItemOutcome(OTHER, "passed-over", problem=("no-pixel-data", "None.")), "1 2")
        assert not ledger.is_settled(ITEM, "1 2")
        assert ledger.is_settled(OTHER, "1 2")
        assert ledger.counts() == (
            {"refused": 1, "passed-over": 1},
            {"dicom-unreadable": 1, "no-pixel-data": 1},
        )
        ledger.take(done(), "1 2")
        assert ledger.counts() == ({"done": 1, "passed-over": 1}, {"no-pixel-data": 1})


def test_what_was_passed_over_is_looked_at_again_once_other_modalities_are_accepted(
    tmp_path: Path,
) -> None:
    others = {code: FileItem(Path(f"/mnt/{code}")) for code in OTHER_KINDS}
    with Ledger(tmp_path, BOUND, modalities=["MG"]) as ledger:
        for code, item in others.items():
            ledger.take(ItemOutcome(item, "passed-over", problem=(code, "None.")), "1 2")
    for modalities in (["MG"], ["MG", "CR"], ["CR", "MG"]):
        with Ledger(tmp_path, BOUND, modalities=modalities) as ledger:
            settled = {code for code, item in others.items() if ledger.is_settled(item, "1 2")}
            assert settled == OTHER_KINDS - (
                {"modality-not-accepted"} if "CR" in modalities else set()
            )
            # It is what it was until it is looked at, also in the tables of a run that is ended.
            assert ledger.counts()[0] == {"passed-over": 2}
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.executescript("UPDATE item SET version = '1 2'; DROP TABLE looked_for")
    connection.close()
    with Ledger(tmp_path, BOUND, modalities=["MG"]) as ledger:
        assert not ledger.is_settled(others["modality-not-accepted"], "1 2")


def test_an_image_in_two_files_has_one_result(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        ledger.take(done(), "1 2")
        assert ledger.take(done(OTHER, judged(content=b"other")), "3 4") == ("duplicate", None)
        assert ledger.is_settled(OTHER, "3 4")
        assert ledger.totals() == (1, 1, 2)
        assert (tmp_path / "images" / "1.2.3.json").read_bytes() == b"{}"


def test_another_image_under_the_same_uid_is_refused_and_the_first_kept(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        ledger.take(done(), "1 2")
        state, problem = ledger.take(done(OTHER, judged(digest="e", content=b"other")), "3 4")
        assert state == "refused" and problem is not None and problem[0] == "instance-differs"
        assert (tmp_path / "images" / "1.2.3.json").read_bytes() == b"{}"
        assert [row["score"] for row in ledger.scores()] == [0.5]
        # The file itself, changed in place, is no exception: results stay what they were.
        assert ledger.take(done(ITEM, judged(digest="e")), "5 6")[0] == "refused"


def test_a_duplicate_gives_an_image_its_results_where_they_are_gone(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        ledger.take(done(), "1 2")
        (tmp_path / "images" / "1.2.3.json").unlink()
        assert ledger.take(done(OTHER), "3 4") == ("done", None)
        assert ledger.is_settled(ITEM, "1 2") and ledger.is_settled(OTHER, "3 4")
        assert ledger.totals() == (1, 1, 2)


def test_an_item_that_is_answered_twice_has_one_result(tmp_path: Path) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        for _ in range(2):
            assert ledger.take(done(), "1 2") == ("done", None)
        assert ledger.totals() == (1, 1, 2)
        assert ledger.counts() == ({"done": 1}, {})


def test_what_ends_it_between_the_files_and_their_row_is_made_good_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(tmp_path, BOUND) as ledger:
        monkeypatch.setattr("service.batch.archive.ledger.json.dumps", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ledger.take(done(), "1 2")
        monkeypatch.undo()
    assert (tmp_path / "images" / "1.2.3.json").exists()
    with Ledger(tmp_path, BOUND) as ledger:
        assert ledger.totals() == (0, 0, 0)
        assert not ledger.is_settled(ITEM, "1 2")
        # Meanwhile another file with this UID came first: its results are the image's, whole.
        ledger.take(done(OTHER, judged(digest="e", content=b"other")), "3 4")
        assert (tmp_path / "images" / "1.2.3.json").read_bytes() == b"other"
        assert ledger.take(done(), "1 2")[0] == "refused"


def test_a_full_disk_leaves_no_row_without_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise NotWritten("full")

    with Ledger(tmp_path, BOUND) as ledger:
        monkeypatch.setattr("service.batch.archive.ledger.write_files", full)
        with pytest.raises(NotWritten):
            ledger.take(done(), "1 2")
        assert ledger.totals() == (0, 0, 0)
        assert ledger.counts() == ({}, {})


def test_a_name_that_is_no_text_is_a_location_like_others(tmp_path: Path) -> None:
    item = FileItem(Path("/mnt/\udcff.dcm"))
    with Ledger(tmp_path, BOUND) as ledger:
        ledger.take(done(item), "1 2")
        assert ledger.is_settled(item, "1 2")
        (row,) = ledger.items()
        assert row["location"] == "/mnt/\\xff.dcm"


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        Ledger(tmp_path, BOUND),
        pytest.raises(NotWritten, match="another process writes into"),
    ):
        Ledger(tmp_path, BOUND)
    Ledger(tmp_path, BOUND).close()


@pytest.mark.parametrize("key", BOUND)
def test_a_folder_holds_results_of_one_archive_and_one_model(tmp_path: Path, key: str) -> None:
    Ledger(tmp_path, BOUND).close()
    with pytest.raises(OtherWork, match=f"results of another {key}: take another --out"):
        Ledger(tmp_path, BOUND | {key: "other"})
    Ledger(tmp_path, BOUND).close()


def test_a_new_ledger_does_not_begin_where_somebody_elses_files_would_be_replaced(
    tmp_path: Path,
) -> None:
    (tmp_path / "summary.json").write_text("mine")
    with pytest.raises(OtherWork, match=r"has summary\.json of somebody else"):
        Ledger(tmp_path, BOUND, ["summary.json"])
    (tmp_path / "summary.json").unlink()
    Ledger(tmp_path, BOUND, ["summary.json"]).close()
    (tmp_path / "summary.json").write_text("its own")
    Ledger(tmp_path, BOUND, ["summary.json"]).close()


def test_a_folder_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    Ledger(tmp_path, BOUND).close()
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OtherWork, match="later version"):
        Ledger(tmp_path, BOUND)


@pytest.mark.parametrize("name", ["file", NAME])
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a database" * 100)
    folder = tmp_path / "file" / "out" if name == "file" else tmp_path
    with pytest.raises(NotWritten, match="cannot be written"):
        Ledger(folder, BOUND)
