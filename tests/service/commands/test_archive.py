import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pydicom
import pytest

from service.batch.archive.engine import ThisMachine
from service.commands import archiving
from service.telemetry.inference_line import Pseudonyms
from tests.archive_files import instance_uid, numbered, path_of, small_mammogram
from tests.dicom_files import dicom_file, phantom
from tests.service.api.conftest import breast_phantom
from tests.service.commands.runs import SHAPE, invoke, states, summary, table

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("identity")]

parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra archive")

SECRET = b"a secret of sixteen bytes"


run = partial(invoke, "archive")


def test_every_image_has_one_row_its_regions_and_its_objects(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(archive, "--out", out, "--format", "json,seg,sr")
    assert result.exit_code == 0, result.output
    assert "6 segmented" in result.stdout
    scores = table(out, "scores")
    assert [row["image"] for row in scores] == [instance_uid(number) for number in range(6)]
    assert len({row["study"] for row in scores}) == 2
    regions = table(out, "regions")
    for row in scores:
        document = json.loads((out / f"{row['results']}.json").read_bytes())
        assert document["has_mask"]["score"] == row["score"]
        assert document["image"]["sop_instance_uid"] == row["image"]
        its = [region for region in regions if region["image"] == row["image"]]
        assert [one["number"] for one in its] == [*range(1, row["regions"] + 1)]
        assert [[one["left"], one["top"], one["width"], one["height"]] for one in its] == [
            region["bbox"] for region in document["regions"]
        ]
        for kind in ("seg", "sr"):
            made = pydicom.dcmread(out / f"{row['results']}-{kind}.dcm")
            assert made.StudyInstanceUID == row["study"]
    told = summary(out)
    assert told["images"] == told["this_run"]["done"] == told["items"]["done"] == 6
    assert told["regions"] == len(regions) and told["engine"] == "this machine"


@pytest.mark.parametrize("name", ["scores.parquet", "summary.json", "images"])
def test_files_of_somebody_else_are_not_replaced_and_nothing_is_begun(
    archive: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    result = run(archive, "--out", out, "--format", "json")
    assert result.exit_code == 2
    assert f"has {name} of somebody else" in " ".join(result.stderr.split())
    assert (out / name).read_text() == "mine"
    assert sorted(path.name for path in out.glob("[!.]*")) == [name]


def test_the_same_command_goes_on_and_opens_nothing_when_all_is_done(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(archive, "--out", out, "--format", "json")
    before = table(out, "scores")
    written = next((out / "images").rglob("*.json")).stat().st_mtime_ns
    monkeypatch.setattr("service.batch.archive.judge.open_segmenter", None)
    again = run(archive, "--out", out, "--format", "json")
    assert again.exit_code == 0, again.output
    assert "0 segmented, 6 were done before" in again.stdout
    assert table(out, "scores") == before
    assert next((out / "images").rglob("*.json")).stat().st_mtime_ns == written
    monkeypatch.undo()


def exchanged(path: Path, number: int) -> None:
    """Put another patient's image in a file's place, of its size and its time."""
    told = path.stat()
    path.write_bytes(numbered(small_mammogram(SHAPE), number))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert path.stat().st_size == told.st_size


def test_the_next_disc_in_the_same_place_is_segmented(archive: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", path_of(archive, 0)
    run(archive, "--out", out)
    exchanged(path, 77)
    again = run(archive, "--out", out)
    assert again.exit_code == 0, again.output
    assert "1 segmented, 5 were done before" in again.stdout
    images = {row["image"] for row in table(out, "scores")}
    assert images == {instance_uid(number) for number in (*range(6), 77)}
    (item,) = (one for one in table(out, "items") if one["location"] == str(path))
    assert item["image"] == instance_uid(77)


def test_a_file_that_is_exchanged_during_the_run_is_looked_at_again(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, path = tmp_path / "out", path_of(archive, 0)
    really = ThisMachine.run

    def after_an_exchange(engine: ThisMachine, items: Any) -> Any:
        exchanged(path, 77)
        yield from really(engine, items)

    with monkeypatch.context() as patched:
        patched.setattr(ThisMachine, "run", after_an_exchange)
        assert run(archive, "--out", out).exit_code == 0
    exchanged(path, 0)
    assert "1 segmented, 5 were done before" in run(archive, "--out", out).stdout
    assert instance_uid(0) in {row["image"] for row in table(out, "scores")}


def test_a_mask_that_was_corrected_is_left_and_one_that_breaks_off_is_made_again(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = (archive, "--out", out, "--format", "png,seg")
    run(*call)
    masks = [next(out.rglob(f"{instance_uid(number)}-mask.png")) for number in range(2)]
    segmentations = [next(out.rglob(f"{instance_uid(number)}-seg.dcm")) for number in range(2)]
    before = [file.read_bytes() for file in (masks[1], segmentations[1])]
    drawn = cv2.imencode(".png", cv2.imread(str(masks[0])) * 0)[1].tobytes()
    masks[0].write_bytes(drawn)
    for file in (masks[1], segmentations[1]):
        os.truncate(file, file.stat().st_size // 2)
    # Lost beside one that is not to be lost.
    segmentations[0].unlink()
    again = run(*call)
    assert again.exit_code == 0, again.output
    assert "2 segmented" in again.stdout and "4 were done before" in again.stdout
    assert masks[0].read_bytes() == drawn and segmentations[0].exists()
    assert [file.read_bytes() for file in (masks[1], segmentations[1])] == before
    assert "6 were done before" in run(*call).stdout
    assert len(table(out, "scores")) == 6


def test_what_is_no_mammogram_or_no_image_costs_nothing_but_its_line(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    study = path_of(archive, 0).parent
    (study / "ct.dcm").write_bytes(dicom_file(phantom(12), Modality="CT"))
    (study / "broken.dcm").write_bytes(small_mammogram(SHAPE)[:2000])
    (study / "empty.dcm").touch()
    (study / "notes.txt").write_text("no image")
    cv2.imwrite(str(study / "film.png"), breast_phantom())
    # A backup of one image, and one whose UID was used twice.
    (study / "backup.dcm").write_bytes(path_of(archive, 1).read_bytes())
    (study / "twice.dcm").write_bytes(numbered(small_mammogram(SHAPE, level=-300), 2))
    (study / "loop").symlink_to(archive)
    result = run(archive, "--out", out)
    assert result.exit_code == 1
    said = states(out)
    assert {name: code for name, code in said.items() if not name[0].isdigit()} == {
        "backup.dcm": "duplicate",
        "broken.dcm": "pixel-data-truncated",
        "ct.dcm": "modality-not-accepted",
        "film.png": "done",
        "twice.dcm": "instance-differs",
    }
    assert len(table(out, "scores")) == 7
    told = summary(out)
    assert told["codes"]["instance-differs"] == 1
    assert told["this_run"]["no_image"] == 2
    assert "instance-differs" in result.stderr


def test_a_copy_by_another_exporter_is_a_duplicate_and_one_that_was_compressed_differs(
    archive: Path, tmp_path: Path
) -> None:
    study = path_of(archive, 0).parent
    copy = pydicom.dcmread(path_of(archive, 1))
    copy.file_meta.SourceApplicationEntityTitle = "WS2"
    copy.file_meta.ImplementationVersionName = "OTHER_1"
    copy.save_as(study / "exported.dcm")
    # Without loss: what says so is that pixels are not compared.
    copy.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    copy.save_as(study / "rle.dcm")
    assert run(archive, "--out", tmp_path / "out").exit_code == 1
    said = states(tmp_path / "out")
    assert (said["exported.dcm"], said["rle.dcm"]) == ("duplicate", "instance-differs")
    assert len(table(tmp_path / "out", "scores")) == 6


def test_a_film_is_named_by_its_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "films" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "films" / name / "film.png"), breast_phantom())
    assert run(tmp_path / "films", "--out", tmp_path / "out").exit_code == 0
    (row,) = table(tmp_path / "out", "scores")
    assert row["image"].startswith("sha256-") and row["study"] is None
    assert sorted(one["state"] for one in table(tmp_path / "out", "items")) == ["done", "duplicate"]


def test_a_file_that_vanishes_is_said_and_found_when_it_is_back(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, path = tmp_path / "out", path_of(archive, 3)
    content = path.read_bytes()
    really = archiving._listed

    def and_lost(*arguments: Any) -> Any:
        listed = really(*arguments)
        path.unlink()
        return listed

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "_listed", and_lost)
        assert run(archive, "--out", out).exit_code == 1
    assert states(out)[path.name] == "file-unreadable"
    assert len(table(out, "scores")) == 5
    path.write_bytes(content)
    assert run(archive, "--out", out).exit_code == 0
    assert len(table(out, "scores")) == 6
    assert "file-unreadable" not in states(out).values()


def test_results_go_into_the_archive_itself_without_being_read(archive: Path) -> None:
    for _ in range(2):
        assert run(archive, "--out", archive / "results", "--format", "png,seg").exit_code == 0
    assert len(table(archive / "results", "scores")) == 6


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (("--ungated",), "another model or choice of options"),
        (("--format", "json"), "another choice of formats"),
        (("--pseudonymous",), "another choice of names"),
    ],
)
def test_results_of_several_choices_do_not_mix(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    choice: tuple[str, ...],
    said: str,
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.setenv("MAMMOSEG_STUDY_SECRET_FILE", str(tmp_path / "secret"))
    run(archive, "--out", tmp_path / "out")
    result = run(archive, "--out", tmp_path / "out", *choice)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    other = run(path_of(archive, 0).parent, "--out", tmp_path / "out")
    assert other.exit_code == 2 and "another archive" in " ".join(other.stderr.split())


def test_pseudonyms_stand_for_uids_in_scores_and_regions(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    assert "STUDY_SECRET_FILE" in run(archive, "--out", tmp_path / "o", "--pseudonymous").stderr
    monkeypatch.setenv("MAMMOSEG_STUDY_SECRET_FILE", str(tmp_path / "secret"))
    out = tmp_path / "out"
    assert run(archive, "--out", out, "--pseudonymous", "--format", "sr").exit_code == 0
    names = [Pseudonyms(SECRET).image(instance_uid(number), b"") for number in range(6)]
    assert {row["image"] for row in table(out, "scores")} == set(names)
    for name in ("scores", "regions"):
        content = json.dumps(table(out, name))
        assert "1.2.826" not in content and str(archive) not in content
    # At the site, items lead back.
    assert {row["image"]: row["result"] for row in table(out, "items")}[names[0]] == instance_uid(0)


def test_a_table_holds_no_pseudonyms_of_two_secrets(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.setenv("MAMMOSEG_STUDY_SECRET_FILE", str(tmp_path / "secret"))
    out = tmp_path / "out"
    run(archive, "--out", out, "--pseudonymous")
    (tmp_path / "secret").write_bytes(SECRET.upper())
    result = run(archive, "--out", out, "--pseudonymous")
    assert result.exit_code == 2
    assert "results of another secret for pseudonyms" in " ".join(result.stderr.split())
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    assert run(archive, "--out", out, "--pseudonymous").exit_code == 0
    assert all(SECRET not in file.read_bytes() for file in out.iterdir() if file.is_file())


def test_a_modality_that_is_accepted_later_is_segmented_then(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = path_of(archive, 0).parent / "cr.dcm"
    plate.write_bytes(dicom_file(phantom(12), Modality="CR", ImagerPixelSpacing=[1, 1]))
    out = tmp_path / "out"
    assert run(archive, "--out", out).exit_code == 0
    assert states(out)["cr.dcm"] == "modality-not-accepted"
    monkeypatch.setenv("MAMMOSEG_ACCEPT_MODALITIES", "MG,CR")
    again = run(archive, "--out", out)
    assert again.exit_code == 0, again.output
    assert "1 segmented, 6 were done before" in again.stdout
    assert states(out)["cr.dcm"] == "done"


def test_no_name_of_a_patient_is_in_the_tables(archive: Path, tmp_path: Path) -> None:
    run(archive, "--out", tmp_path / "out")
    told = json.dumps([table(tmp_path / "out", name) for name in ("scores", "regions", "items")])
    told += (tmp_path / "out" / "summary.json").read_text()
    for canary in ("Canary", "PID-0001", "ACC-77", "19600229"):
        assert canary not in told


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--format", "csv"), "tables are Parquet"),
        (("--format", "bmp"), "takes some of"),
        (("--workers", "2"), "these are of --ray"),
        (("--pixel-spacing-mm", "9"), "--pixel-spacing-mm takes one number"),
    ],
)
def test_an_option_that_makes_no_sense_is_said(
    archive: Path, tmp_path: Path, option: tuple[str, ...], said: str
) -> None:
    result = run(archive, "--out", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


SERVER = "https://name:word@pacs.invalid/dicom-web"  # pragma: allowlist secret


@pytest.mark.parametrize("source", ["empty", "absent", SERVER])
def test_an_archive_without_images_is_nothing_to_begin_with(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    where = source if source.startswith("http") else tmp_path / source
    result = run(where, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "cannot start" in result.stderr and "word@" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_engine_that_forgets_an_image_is_found_out(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = ThisMachine.run

    def forgetful(engine: ThisMachine, items: Any) -> Any:
        # And says one thing twice.
        answers = list(really(engine, items))
        yield from (answers[0], *answers[:-1])

    with monkeypatch.context() as patched:
        patched.setattr(ThisMachine, "run", forgetful)
        result = run(archive, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert summary(tmp_path / "out")["this_run"]["done"] == 5
    assert "no-answer" in states(tmp_path / "out").values()
    assert run(archive, "--out", tmp_path / "out").exit_code == 0
    assert len(table(tmp_path / "out", "scores")) == 6


def test_a_table_that_cannot_be_written_leaves_the_one_before(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(archive, "--out", out)
    before = (out / "scores.parquet").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(parquet.ParquetWriter, "write_table", full)
        result = run(archive, "--out", out)
    assert result.exit_code == 4
    assert (out / "scores.parquet").read_bytes() == before
    assert not [name for name in os.listdir(out) if name.endswith(".partial")]
