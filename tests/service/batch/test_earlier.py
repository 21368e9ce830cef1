"""Journals, tables and ledgers that earlier versions wrote are read: what is done stays done.

The files of `earlier` are theirs: commit 4999d12^ wrote those without digests, 0234f80^ the others,
with `segment --format json,csv`, the same and `--ungated --pixel-spacing-mm 0.1,0.12`, and `archive
--format json`. Paths, sizes, times, and the digests of model and image have names in their place.
"""

import hashlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from service.batch.archive.items import FileItem
from service.batch.archive.ledger import NAME as LEDGER
from service.batch.archive.ledger import Ledger, OtherWork
from service.batch.fingerprint import Fingerprint
from service.batch.journal import NAME, TAKEN, Journal
from service.batch.made_by import as_now, made_by
from service.batch.results import BadName
from service.batch.sources import Source
from service.segmenter import SegmentOptions
from service.settings import Settings

pytestmark = pytest.mark.integration

EARLIER = Path(__file__).with_name("earlier")
MODEL = "d60fefbc947ffd1b36bc6722e06391ebe6c358807dc48a813fcbcfb064a988e2"
DEFAULT, UNGATED = SegmentOptions(), SegmentOptions((0.1, 0.12), gate=False)
CONTENT, TIME_NS = b"image", 123456789


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.batch.made_by.read_model", lambda _: b"model")


def today(options: SegmentOptions) -> str:
    return made_by(Settings(), options)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "in" / "a.dcm"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    os.utime(path, ns=(TIME_NS, TIME_NS))
    return Source(path, "a", True)


def earlier(name: str, source: Source) -> str:
    text = (EARLIER / name).read_text()
    for named, value in (
        ("SOURCE", str(source.path)),
        ("ARCHIVE", str(source.path.parent)),
        ("LOCATION", os.fsencode(source.path).hex()),
        ("DIGEST", hashlib.sha256(CONTENT).hexdigest()),
        (MODEL, hashlib.sha256(b"model").hexdigest()),
    ):
        text = text.replace(named, value)
    return text


def of_journal(folder: Path, name: str, source: Source) -> Path:
    folder.mkdir()
    (folder / NAME).write_text(earlier(name, source))
    (folder / "a.json").write_text("{}")
    (folder / "scores.csv").write_bytes(
        earlier("scores.csv", source).replace("\n", "\r\n").encode()
    )
    return folder


JOURNALS = pytest.mark.parametrize("name", ["without-digests", "digests-of-images"])


@JOURNALS
def test_what_an_earlier_version_did_with_the_same_choices_is_done(
    tmp_path: Path, source: Source, name: str
) -> None:
    out = of_journal(tmp_path / "out", f"{name}.jsonl", source)
    other = of_journal(tmp_path / "other", f"{name}-ungated.jsonl", source)
    for folder, options, is_done in (
        (out, DEFAULT, True),
        (out, replace(DEFAULT, picture_side=2048, objects=False, activation=True), True),
        (out, UNGATED, False),
        (other, UNGATED, True),
        (other, DEFAULT, False),
    ):
        with Journal(folder, today(options)) as journal:
            row = journal.done(source, ["a.json"])
            assert (row is not None) == is_done
            if row is not None:
                assert row["score"] == 0.880797


@JOURNALS
@pytest.mark.parametrize("options", [DEFAULT, UNGATED])
def test_what_has_no_known_hash_is_never_written_over(
    tmp_path: Path, source: Source, name: str, options: SegmentOptions
) -> None:
    out = of_journal(tmp_path / "out", f"{name}.jsonl", source)
    (out / "a.json").write_text("[]")
    seen = Fingerprint.of(source.path.stat(), CONTENT)
    with Journal(out, today(options)) as journal:
        assert journal.problem("a", ["a.json"]) == TAKEN
        with pytest.raises(BadName):
            journal.claim(source, seen, {"a.json": b"{}"})
        # What breaks off is nobody's.
        (out / "a.json").write_bytes(b"\0")
        assert journal.problem("a", ["a.json"]) is None
    (out / "a.json").write_text("[]")
    with Journal(out, today(options), overwrite=True) as journal:
        journal.claim(source, seen, {"a.json": b"{}"})


@JOURNALS
def test_the_table_of_an_earlier_version_is_known_by_its_rows(
    tmp_path: Path, source: Source, name: str
) -> None:
    out = of_journal(tmp_path / "out", f"{name}.jsonl", source)
    table = out / "scores.csv"
    refused = b"/b.dcm,b" + b"," * 21 + b"not-an-image\r\n"
    written = table.read_bytes()
    for content, is_own in (
        (written, True),
        (written + refused, True),
        (written.replace(b"0.880797", b"0.1"), False),
        (written.replace(b"problem", b"problem,reader").replace(b",\r\n", b",,yes\r\n"), False),
        (written + b"see letter\r\n", False),
    ):
        table.write_bytes(content)
        with Journal(out, today(UNGATED)) as journal:
            if is_own:
                journal.reserve_of_run("scores.csv")
            else:
                with pytest.raises(BadName):
                    journal.reserve_of_run("scores.csv")


def test_an_archive_that_an_earlier_version_began_goes_on(tmp_path: Path, source: Source) -> None:
    out, item = tmp_path / "out", FileItem(source.path)
    (out / "images" / "85").mkdir(parents=True)
    (out / "images" / "85" / "1.2.3.4.1.1.json").write_text("{}")
    with sqlite3.connect(out / LEDGER) as connection:
        connection.executescript(earlier("archive.sql", source))
    connection.close()
    bound = {
        "archive": str(source.path.parent),
        "model or choice of options": today(DEFAULT),
        "choice of formats": "json",
        "choice of names": "UIDs",
        "secret for pseudonyms": "none",
    }
    for _ in range(2):
        with Ledger(out, bound, ["summary.json"], ["MG"]) as ledger:
            assert ledger.is_settled(item, item.version())
    with pytest.raises(OtherWork, match="model or choice of options"):
        Ledger(out, bound | {"model or choice of options": today(UNGATED)})


@pytest.mark.parametrize("text", ["", "model", f"{MODEL} 0.1.0 SegmentOptions(gate=__import__)"])
def test_what_is_not_of_an_earlier_form_is_left_as_it_is(text: str) -> None:
    assert as_now(text) == text


def test_no_version_of_the_program_is_of_what_results_are_made_by() -> None:
    forms = ("0.1.0 Wishes()", "0.2.0 SegmentOptions(gate=True, new=3)")
    hashed = hashlib.sha256(b"model").hexdigest()
    assert {as_now(f"{hashed} {form}") for form in forms} == {today(DEFAULT)}
