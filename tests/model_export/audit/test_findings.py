import io
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_export.audit.findings import Audit, audit, audit_images, with_tiles
from model_export.audit.questions import LESION
from model_export.audit.report import markdown, plain, save, show
from model_export.audit.survey import survey
from model_export.cli import app
from model_export.config import Phase, Sampling, Stream, TrainingConfig
from model_export.datasets import DatasetError, sources_in
from model_export.datasets.splits import split_of
from model_export.phantom import breast_phantom
from tests.model_export.audit.looked_at import looked_at, pixels
from tests.model_export.samples import disc, write_all
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def troubled() -> Audit:
    """One picture of two patients, on two sides, with two labels; one patient on two sides."""
    images = [looked_at(str(seed), pixels(seed)) for seed in range(4)]
    copy = replace(images[0], name="copy", patient="9", split="test", has_lesion=True)
    again = looked_at("again", pixels(6), patient="1", split="test")
    return audit_images([*images, copy, again])


def test_both_kinds_of_overlap_are_errors(troubled: Audit) -> None:
    assert not troubled.sound
    assert troubled.shared == {("set", "1"): {"train", "test"}}
    assert [pair.second.name for pair in troubled.across_splits] == ["copy"]
    assert [pair.second.name for pair in troubled.contradictory] == ["copy"]
    assert replace(troubled, shared={}, duplicates=[]).sound
    assert not replace(troubled, duplicates=[]).sound
    assert not replace(troubled, shared={}).sound


def test_the_report_says_so_in_every_form(troubled: Audit) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    show(troubled, console)
    for text in (console.export_text(), markdown(troubled, [])):
        assert "ERROR: 1 patients and 1 near-duplicates are on two sides of the split." in text
        assert "set/copy" in text and "too few patients" in text and "train / test" in text
    stored = json.loads(json.dumps(plain(troubled), allow_nan=False))
    assert stored["sound"] is False
    assert stored["near_duplicates"][0]["images"] == ["set/0", "set/copy"]
    assert stored["probes"][0]["auc"] is None and math.isnan(troubled.probes[0].auc)


def test_where_nothing_says_whose_images_are_the_audit_says_that_it_cannot_know() -> None:
    owned = looked_at("0", pixels(0))
    found = audit_images([owned, looked_at("1", pixels(1), patient_is_known=False)])
    console = Console(record=True, width=300, file=io.StringIO())
    show(found, console)
    for text in (console.export_text(), markdown(found, [])):
        assert "cannot be known" in text and "1 of set" in text
        assert "No patient is on two sides" not in text
    assert found.sound and plain(found)["images_without_patient"] == {"set": 1}
    assert "No patient is on two sides" in markdown(audit_images([owned]), [])


def test_sheets_show_the_pairs_that_there_are(troubled: Audit, tmp_path: Path) -> None:
    save(troubled, tmp_path / "new")
    sheets = {"near-duplicates.png", "contradictory.png", "across-splits.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == sheets | {
        "audit.md",
        "audit.json",
    }
    text = (tmp_path / "new" / "audit.md").read_text()
    assert all(f"![{sheet}]({sheet})" in text for sheet in sheets)
    assert "yes or no" in text  # what the images are known by
    picture = cv2.imread(str(tmp_path / "new" / "near-duplicates.png"), cv2.IMREAD_GRAYSCALE)
    assert picture is not None and picture.std() > 10


def test_a_survey_keeps_whose_and_how_each_image_is(tmp_path: Path) -> None:
    images = survey(write_all(tmp_path), ["mini-mias", "rsna-640"])
    assert len(images) == 5 + 24
    first = images[0]
    assert (first.source, first.name, first.patient) == ("mini-mias", "mdb001", "1")
    assert first.split == split_of("mini-mias", "1")
    assert (first.has_lesion, first.annotation, first.shape) == (False, "normal", (256, 256))
    assert 0 <= first.brightness.min() <= first.brightness.max() <= 1


def test_the_command_reports_and_its_exit_code_is_the_verdict(tmp_path: Path) -> None:
    """One picture of two patients: on one side of the split it weighs double, on two it leaks."""
    train = [str(number) for number in range(20) if split_of("set", str(number)) == "train"]
    test = [str(number) for number in range(20) if split_of("set", str(number)) == "test"]
    for other, code in ((train[1], 0), (test[0], 1)):
        folder = tmp_path / f"data-{code}" / "set"
        (folder / "images").mkdir(parents=True)
        for name in ("a", "b"):
            cv2.imwrite(str(folder / "images" / f"{name}.png"), pixels(2))
        table = f"name,patient,has_lesion\na,{train[0]},1\nb,{other},0\n"
        (folder / "table.csv").write_text(table)
        report = tmp_path / f"report-{code}"
        options = ["--data", str(folder.parent), "--tiles", "0", "--save", str(report)]
        result = CliRunner().invoke(app, ["audit", *options])
        assert result.exit_code == code, result.output
        assert ("ERROR" in result.output) == bool(code)
        found = json.loads((report / "audit.json").read_text())
        assert found["sound"] is not bool(code) and len(found["near_duplicates"]) == 1
        assert (report / "contradictory.png").exists()


@pytest.mark.long
def test_tiles_of_sources_that_are_not_there_are_not_probed(tmp_path: Path) -> None:
    data = write_all(tmp_path / "data")
    result = CliRunner().invoke(app, ["audit", "--data", str(data), "--sources", "mini-mias"])
    assert result.exit_code == 0, result.output
    assert "Training tiles were not probed" in result.output


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_no_data_is_an_error(tmp_path: Path, folder: str) -> None:
    result = CliRunner().invoke(app, ["audit", "--data", str(tmp_path / folder)])
    assert result.exit_code == 1 and "failed:" in result.output
    with pytest.raises(DatasetError, match="no folder x/"):
        survey(tmp_path, ["x"])


def write_own_set(data: Path) -> Path:
    """Write a plain set of eight patients, every second with a lesion."""
    for part in ("images", "masks"):
        (data / "my-set" / part).mkdir(parents=True)
    rows = ["name,patient,pixel_spacing_mm"]
    for number in range(8):
        name = f"{number}.png"
        picture = breast_phantom(160, seed=number)
        mask = disc(160, 58, 35, 9) * np.uint8(number % 2)
        cv2.imwrite(str(data / "my-set" / "images" / name), np.maximum(picture, mask))
        cv2.imwrite(str(data / "my-set" / "masks" / name), mask)
        rows.append(f"{number},{number},1.0")
    (data / "my-set" / "table.csv").write_text("\n".join(rows) + "\n")
    return data


def own_config(*, whole: bool) -> TrainingConfig:
    stream = Stream(rows=64, columns=64, mix={"my-set": 4}, whole=whole)
    phase = Phase(epochs=1, streams=(stream,))
    # Three lesions are too few to find matches for.
    sampling = Sampling(matched_negatives=False)
    return tiny_config().model_copy(update={"phases": (phase,), "sampling": sampling})


def test_tiles_of_the_training_patients_are_probed_as_a_run_samples_them(tmp_path: Path) -> None:
    data = write_own_set(tmp_path / "data")
    found = audit(data, sources_in(data))
    asked = with_tiles(found, own_config(whole=False), data, tmp_path / "packed", 30)
    (added,) = asked.probes[len(found.probes) :]
    assert (added.question, added.where) == (LESION, "tiles as sampled for training: my-set")
    train = {image.patient for image in found.images if image.split == "train"}
    assert (added.images, added.patients) == (30, len(train))
    assert 0 < added.positives < 30


def test_a_config_that_samples_no_such_tiles_is_noted(tmp_path: Path) -> None:
    data = write_own_set(tmp_path / "data")
    found = audit(data, ["my-set"])
    asked = with_tiles(found, own_config(whole=True), data, tmp_path / "packed", 30)
    assert asked.probes == found.probes
    assert "the config has no stream of crops" in asked.notes[0]
