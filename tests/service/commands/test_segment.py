import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pydicom
import pytest

from service.segmenter import Segmenter
from service.startup.models import open_segmenter
from tests.dicom_files import dicom_file, phantom
from tests.mammogram_headers import as_file, full_header
from tests.service.api.conftest import breast_phantom
from tests.service.commands.runs import invoke, rows

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("identity")]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder of two mammograms, a text, and an image of another modality."""
    folder = tmp_path / "study"
    folder.mkdir()
    cv2.imwrite(str(folder / "view.png"), breast_phantom())
    (folder / "m.dcm").write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    (folder / "ct.dcm").write_bytes(dicom_file(phantom(12), Modality="CT"))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often the model was opened."""
    times: list[int] = []
    really = open_segmenter

    def counted(settings: Any) -> Segmenter:
        times.append(1)
        return really(settings)

    monkeypatch.setattr("service.batch.job.open_segmenter", counted)
    return times


run = partial(invoke, "segment")


def _halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def test_a_folder_is_segmented_and_what_is_no_mammogram_is_passed_over(
    study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run(study, "--out", out, "--format", "json,png,csv")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (out / "study").iterdir()) == [
        "m-mask.png", "m-overlay.png", "m.json",
        "view-mask.png", "view-overlay.png", "view.json",
    ]  # fmt: skip
    told = {row["results"]: row for row in rows(out)}
    assert told.keys() == {"study/m", "study/view"}
    found = json.loads((out / "study" / "view.json").read_text())
    assert float(told["study/view"]["score"]) == found["has_mask"]["score"]
    assert told["study/view"]["decision"] == "1"
    assert "2 segmented" in result.stdout and "1 passed over" in result.stdout
    assert "study/view" in result.stdout


def test_a_bad_file_is_named_and_the_rest_goes_on(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = ("notes.txt", "absent.dcm", "ct.dcm", "m.dcm")
    result = run(*(study / name for name in names), "--out", out)
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "notes.txt: This is no DICOM, PNG, JPEG or TIFF file. (not-an-image)" in said
    assert "absent.dcm: there is no such file or folder" in said
    assert "ct.dcm: The image's modality is not accepted. (modality-not-accepted)" in said
    assert [(row["results"], row["problem"]) for row in rows(out)] == [
        ("notes.txt", "not-an-image"),
        ("ct", "modality-not-accepted"),
        ("m", ""),
    ]


def test_dicom_results_are_made_of_dicom_files_and_refused_of_others(
    study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (study / "m.dcm").write_bytes(as_file(full_header()))
    result = run(study / "m.dcm", study / "view.png", "--out", out, "--format", "seg,sr")
    assert result.exit_code == 1
    assert sorted(path.name for path in out.glob("[!.]*")) == ["m-seg.dcm", "m-sr.dcm"]
    assert "view.png: A DICOM result is made of a DICOM image only. (output)" in " ".join(
        result.stderr.split()
    )


def test_the_same_command_goes_on_and_opens_no_model_when_all_is_done(
    study: Path, tmp_path: Path, opened: list[int]
) -> None:
    out = tmp_path / "out"
    first = run(study / "m.dcm", "--out", out)
    written = (out / "m.json").stat().st_mtime_ns
    both = run(study / "m.dcm", study / "view.png", "--out", out)
    assert (first.exit_code, both.exit_code, len(opened)) == (0, 0, 2)
    assert "1 segmented, 1 were done before" in both.stdout
    assert (out / "m.json").stat().st_mtime_ns == written
    assert [row["results"] for row in rows(out)] == ["m", "view"]
    again = run(study / "m.dcm", study / "view.png", "--out", out)
    assert (again.exit_code, len(opened)) == (0, 2)
    assert "0 segmented, 2 were done before" in again.stdout
    assert run(study / "m.dcm", "--out", out, "--overwrite").exit_code == 0
    assert len(opened) == 3


@pytest.mark.parametrize("choice", [("--ungated",), ("--pixel-spacing-mm", "0.5")])
def test_other_choices_are_other_results(
    study: Path, tmp_path: Path, opened: list[int], choice: tuple[str, ...]
) -> None:
    run(study / "m.dcm", "--out", tmp_path / "out")
    assert "1 segmented" in run(study / "m.dcm", "--out", tmp_path / "out", *choice).stdout


def test_other_formats_of_the_same_findings_are_beside_one_another(
    study: Path, tmp_path: Path, opened: list[int]
) -> None:
    out = tmp_path / "out"
    (study / "m.dcm").write_bytes(as_file(full_header()))
    for formats in ("json,png", "seg", "json", "seg,json,png,csv"):
        result = run(study / "m.dcm", "--out", out, "--format", formats)
        assert result.exit_code == 0, result.output
    assert len(opened) == 2
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "m-mask.png",
        "m-overlay.png",
        "m-seg.dcm",
        "m.json",
        "scores.csv",
    ]


def test_results_of_another_file_are_not_overwritten(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(study / "m.dcm", "--out", out)
    before = (out / "m.json").read_bytes()
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "m.dcm"
    other.write_bytes(dicom_file(phantom(10), ImagerPixelSpacing=[1, 1]))
    result = run(other, "--out", out)
    assert result.exit_code == 1
    assert "result-name-taken" in result.stderr
    assert (out / "m.json").read_bytes() == before
    assert run(other, "--out", out, "--overwrite").exit_code == 0


def test_the_next_disc_in_the_same_drive_replaces_no_patients_results(
    tmp_path: Path,
) -> None:
    out, drive = tmp_path / "out", tmp_path / "cdrom"
    drive.mkdir()
    for patient, level in (("1.2.1", 12), ("1.2.2", 10)):
        image = dicom_file(phantom(level), ImagerPixelSpacing=[1, 1], SOPInstanceUID=patient)
        (drive / "IM0001").write_bytes(image)
        # Of 1980, as many writers of discs leave them.
        os.utime(drive / "IM0001", (315532800, 315532800))
        result = run(drive, "--out", out)
    assert result.exit_code == 1
    assert "result-name-taken" in result.stderr
    assert [(row["sop_instance_uid"], row["problem"]) for row in rows(out)] == [
        ("1.2.1", ""),
        ("", "result-name-taken"),
    ]
    assert run(drive, "--out", out, "--overwrite").exit_code == 0
    assert [row["sop_instance_uid"] for row in rows(out)] == ["1.2.2"]


def test_the_table_is_of_all_calls_into_one_folder(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(study / "m.dcm", "--out", out)
    run(study / "view.png", study / "notes.txt", "--out", out, "--ungated")
    assert [row["results"] for row in rows(out)] == ["m", "view", "notes.txt"]
    run(study / "m.dcm", "--out", out)
    assert [row["results"] for row in rows(out)] == ["view", "m"]
    (out / "view.json").unlink()
    for kind in ("mask", "overlay"):
        (out / f"view-{kind}.png").unlink()
    run(study / "m.dcm", "--out", out)
    assert [row["results"] for row in rows(out)] == ["m"]


@pytest.mark.parametrize("name", ["m.json", "m-mask.png", "m-overlay.png", "m-seg.dcm"])
def test_a_file_that_no_run_made_is_replaced_where_that_is_asked_for_alone(
    study: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("drawn by hand")
    (study / "m.dcm").write_bytes(as_file(full_header()))
    call = (study / "m.dcm", study / "view.png", "--out", out, "--format", "json,png,seg,csv")
    result = run(*call)
    assert result.exit_code == 1
    assert "result-name-taken" in result.stderr
    assert (out / name).read_text() == "drawn by hand"
    assert [path.name for path in out.glob("m*")] == [name]
    assert run(*call, "--overwrite").exit_code == 1  # view.png makes no DICOM object
    assert (out / name).read_bytes() != b"drawn by hand"
    assert len(list(out.glob("m*"))) == 4


@pytest.mark.parametrize("choice", [(), ("--ungated",)])
@pytest.mark.parametrize("name", ["m.json", "m-mask.png", "m-overlay.png"])
def test_a_result_that_was_corrected_by_hand_is_not_replaced_unasked(
    study: Path, tmp_path: Path, name: str, choice: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    run(study / "m.dcm", "--out", out)
    (out / name).write_text("corrected by hand")
    result = run(study / "m.dcm", "--out", out, *choice)
    assert result.exit_code == 1
    assert "result-name-taken" in result.stderr
    assert (out / name).read_text() == "corrected by hand"
    assert run(study / "m.dcm", "--out", out, "--overwrite", *choice).exit_code == 0
    assert (out / name).read_bytes() != b"corrected by hand"


def test_a_mask_that_was_corrected_at_its_size_is_not_replaced_for_one_more_format(
    study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (study / "m.dcm").write_bytes(as_file(full_header()))
    run(study / "m.dcm", "--out", out, "--format", "seg,csv")
    mask = pydicom.dcmread(out / "m-seg.dcm")
    mask.PixelData = bytes(255 - byte for byte in mask.PixelData)
    size = (out / "m-seg.dcm").stat().st_size
    mask.save_as(out / "m-seg.dcm")
    corrected = (out / "m-seg.dcm").read_bytes()
    assert len(corrected) == size
    for formats, status in (("seg,csv", 0), ("seg,sc,csv", 1), ("sc", 0)):
        result = run(study / "m.dcm", "--out", out, "--format", formats)
        assert (result.exit_code, "result-name-taken" in result.stderr) == (status, status == 1)
        assert (out / "m-seg.dcm").read_bytes() == corrected
    assert run(study / "m.dcm", "--out", out, "--format", "seg", "--overwrite").exit_code == 0
    assert (out / "m-seg.dcm").read_bytes() != corrected


def test_a_table_that_somebody_wrote_into_is_not_replaced_and_nothing_is_begun(
    study: Path, tmp_path: Path, opened: list[int]
) -> None:
    out = tmp_path / "out"
    call = (study / "m.dcm", "--out", out)
    for _ in range(2):
        assert run(*call).exit_code == 0
    table = (out / "scores.csv").read_bytes()
    (out / "scores.csv").write_bytes(table.replace(b"\r\n", b",reader\r\n"))
    for sources in (call, (study / "view.png", *call)):
        result = run(*sources)
        assert (result.exit_code, len(opened)) == (2, 1)
        assert "scores.csv is of no earlier run, or was changed since" in result.stderr
    assert b",reader" in (out / "scores.csv").read_bytes()
    (out / "scores.csv").rename(tmp_path / "mine.csv")
    assert run(*call).exit_code == 0
    assert (out / "scores.csv").read_bytes() == table


def test_a_table_that_is_changed_during_the_run_is_kept(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    really = Segmenter.segment

    def while_somebody_writes(*arguments: Any, **options: Any) -> Any:
        (out / "scores.csv").write_text("mine")
        return really(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "segment", while_somebody_writes)
        result = run(study / "m.dcm", "--out", out)
    assert result.exit_code == 4
    assert "scores.csv was changed during the run" in " ".join(result.stderr.split())
    assert (out / "scores.csv").read_text() == "mine"
    (out / "scores.csv").unlink()
    assert "1 were done before" in run(study / "m.dcm", "--out", out).stdout


@pytest.mark.parametrize(
    "lost", [lambda file: file.unlink(), lambda file: os.truncate(file, 0), _halved]
)
def test_a_result_that_the_disk_lost_is_made_again(
    study: Path, tmp_path: Path, lost: Callable[[Path], object]
) -> None:
    out = tmp_path / "out"
    run(study / "m.dcm", "--out", out)
    mask = (out / "m-mask.png").read_bytes()
    lost(out / "m-mask.png")
    assert run(study / "m.dcm", "--out", out).exit_code == 0
    assert (out / "m-mask.png").read_bytes() == mask


def test_an_image_that_is_read_is_never_written_over(study: Path) -> None:
    mammogram = as_file(full_header())
    for name in ("m.dcm", "m-seg.dcm"):
        (study / name).write_bytes(mammogram)
    result = run(
        study / "m.dcm", study / "m-seg.dcm", "--out", study, "--format", "seg,json", "--overwrite"
    )
    assert result.exit_code == 1
    assert "m.dcm: Its results would be written over an image that is read" in " ".join(
        result.stderr.split()
    )
    assert (study / "m-seg.dcm").read_bytes() == mammogram
    assert sorted(path.name for path in study.glob("m*")) == [
        "m-seg-seg.dcm", "m-seg.dcm", "m-seg.json", "m.dcm",
    ]  # fmt: skip


def test_a_folder_that_is_out_itself_is_said_to_be_none_of_images(study: Path) -> None:
    before = {path.name: path.read_bytes() for path in study.glob("*")}
    result = run(study, "--out", study)
    assert result.exit_code == 2
    assert f"{study}: is --out itself" in result.stderr
    assert {path.name: path.read_bytes() for path in study.glob("*")} == before


def test_a_table_of_somebody_else_is_not_replaced_and_nothing_is_begun(
    study: Path, tmp_path: Path, opened: list[int]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "scores.csv").write_text("mine")
    result = run(study / "m.dcm", "--out", out)
    assert (result.exit_code, opened) == (2, [])
    # In one line, however long the path is.
    assert f"{out / 'scores.csv'} is of no earlier run" in result.stderr
    assert (out / "scores.csv").read_text() == "mine"
    assert run(study / "m.dcm", "--out", out, "--overwrite").exit_code == 0
    assert run(study / "m.dcm", "--out", out).exit_code == 0


def test_results_of_two_images_of_one_run_do_not_replace_each_other(
    study: Path, tmp_path: Path
) -> None:
    for name in ("m.dcm", "m-cad.dcm"):
        (study / name).write_bytes(as_file(full_header()))
    for again in ((), ("--overwrite",)):
        result = run(
            *(study / "m.dcm", study / "m-cad.dcm", "--out", tmp_path / "out"),
            *("--format", "sr,cad-sr", *again),
        )
        assert result.exit_code == 1
        assert result.stderr.count("result-name-taken") == 1


def test_a_folder_without_images_is_nothing_to_begin_with(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    result = run(tmp_path / "empty", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "there is no image" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--format", "bmp"), "--format: takes some of json, png"),
        (("--pixel-spacing-mm", "9"), "--pixel-spacing-mm takes one number"),
        (("--frame", "0"), "--frame"),
    ],
)
def test_an_option_that_makes_no_sense_is_said(
    study: Path, option: tuple[str, ...], said: str
) -> None:
    result = run(study, *option)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_folder_that_cannot_be_written_is_said(study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        result = run(study / "m.dcm", "--out", out)
        assert result.exit_code == 4
        said = " ".join(result.stderr.split())
        assert "cannot be written: Not a directory; --out takes a folder" in said


def test_a_file_that_cannot_be_opened_is_refused_and_a_pipe_is_not_waited_for(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.dcm").touch()
    really = Path.open

    def denied(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "view.png":
            raise PermissionError(13, "Permission denied")
        return really(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    result = run(study, tmp_path / "pipe", tmp_path / "empty.dcm", "--out", tmp_path / "out")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "view.png: The file cannot be opened: Permission denied. (file-unreadable)" in said
    assert "pipe: This is no regular file." in said
    assert "empty.dcm: The file is empty." in said
    assert [row["results"] for row in rows(tmp_path / "out") if not row["problem"]] == ["study/m"]


def test_an_error_of_the_program_costs_one_file_and_quotes_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = Segmenter.segment

    def broken(segmenter: Segmenter, body: bytes, *arguments: Any, **options: Any) -> Any:
        if body.startswith(b"\x89PNG"):
            raise ValueError("Doe^Jane")
        return really(segmenter, body, *arguments, **options)

    monkeypatch.setattr(Segmenter, "segment", broken)
    result = run(study, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "ValueError at run.py" in " ".join(result.stderr.split())
    assert "Doe" not in result.output
    assert [row["problem"] for row in rows(tmp_path / "out")] == ["", "internal"]


def test_a_name_that_is_no_text_is_shown_without_harm(study: Path, tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff\x1b[31m.dcm"
    with open(file, "wb") as sink:
        sink.write((study / "m.dcm").read_bytes())
    result = run(os.fsdecode(file), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert (tmp_path / "out" / "scores.csv").read_bytes().count(b"\xff") == 2
