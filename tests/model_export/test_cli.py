import hashlib
import json
import re
from pathlib import Path

import onnx
import pytest
import torch
from typer.testing import CliRunner

from model_export import evaluation, resampling
from model_export.ablation import run as ablation
from model_export.cli import CONFIGS, app
from model_export.command import VERSION, console
from model_export.config import TrainingConfig
from model_export.config_file import read_config
from model_export.evaluation import Options
from model_export.export import run as export
from model_export.export.run import contract_of
from model_export.export.tile_shapes import TileShapes
from model_export.report.card import BEGIN, END, section
from model_export.training import run as training
from service.inference.contract import Contract
from tests.model_export.lived_in import lived_in
from tests.model_export.samples import write_all
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as `train` leaves it."""
    run = tmp_path_factory.mktemp("run")
    (run / "checkpoints").mkdir()
    (run / "config.json").write_text(tiny_config().model_dump_json())
    weights = {
        f"net.{key}": value for key, value in lived_in(tiny_config().network).state_dict().items()
    }
    torch.save({"state_dict": weights}, run / "checkpoints" / "best.ckpt")
    return run


@pytest.fixture(autouse=True)
def wide_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no line be broken amid a word: folders of tests have long names."""
    monkeypatch.setattr(console, "width", 400)


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.long
def test_average_writes_a_run_that_validates_like_its_members(run: Path, tmp_path: Path) -> None:
    (run / "start.json").write_text(json.dumps({"sha256": "one"}))
    data = write_all(tmp_path / "data")
    paths = ("--data", data, "--packed", tmp_path / "packed")
    printed = invoke("average", tmp_path / "mean", run, run, *paths)
    (run / "start.json").unlink()
    merits = re.findall(r"figure_of_merit\s+(\S+),", printed)
    assert len(merits) == 3 and len(set(merits)) == 1


@pytest.mark.long
def test_export_calibrate_evaluate_card(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "receptive_field", lambda _: 633)  # counted in its own test
    small = TileShapes(tile_size=128, narrower=(), stride=96)
    monkeypatch.setattr(export, "tile_shapes", lambda _: small)
    monkeypatch.setattr(resampling, "RESAMPLES", 20)
    target, data = tmp_path / "net.onnx", write_all(tmp_path / "data")
    assert "agree within" in invoke("export", run, target, "--version", "0.1.0")
    assert "not chosen" in contract_of(onnx.load(target)).operating_point.chosen_by

    assert "has-mask threshold" in invoke("calibrate", target, "--data", data)
    contract = contract_of(onnx.load(target))
    # Of the twelve patients of CDD-CESM one chooses and two report.
    assert "cdd-cesm finds 1.00 of 1" in contract.operating_point.chosen_by
    # Nothing but the shift: figures are `evaluate`'s to find.
    assert set(contract.provenance.evaluation) == {"has_mask_shift"}
    assert float(contract.provenance.evaluation["has_mask_shift"]) != 0.0
    invoke("verify", target, run)

    saved, asked = tmp_path / "report", ("evaluate", target, "--data", data, "--no-contrast")
    assert "trained on it" in invoke(*asked, "--save", saved, "--record")
    recorded = contract_of(onnx.load(target)).provenance.evaluation
    found = json.loads((saved / "figures.json").read_text())
    assert found["figures"]["cdd-cesm/dice"]["value"] == pytest.approx(
        float(recorded["cdd-cesm/dice"]), abs=1e-4
    )
    assert found["model"]["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    invoke("verify", target, run)

    card = tmp_path / "MODEL_CARD.md"
    card.write_text(f"# Card\n{BEGIN}\n{END}\n")
    invoke("card", target)
    assert section(contract_of(onnx.load(target))) in card.read_text()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("evaluate", "net.onnx", "--external", "nowhere"), "cannot read the model"),
        (("calibrate", "net.onnx"), "No such file"),
        (("card", "net.onnx"), "MODEL_CARD.md"),
    ],
)
def test_what_is_not_there_fails_with_an_exit_code(
    arguments: tuple[str, ...], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 1
    assert fault in result.output.replace("\n", "")


def test_evaluate_takes_whole_external_sets_and_bounds_what_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Options] = []

    def measured(_: Path, __: Path, options: Options) -> None:
        given.append(options)
        raise ValueError("seen enough")

    monkeypatch.setattr(evaluation, "evaluate", measured)
    sets = ("--external", "mini-mias", "--external", "rsna-640")
    arguments = ["evaluate", "net.onnx", *sets, "--contrast-limit", "50"]
    assert CliRunner().invoke(app, arguments).exit_code == 1
    assert (given[0].external, given[0].contrast_limit) == (("mini-mias", "rsna-640"), 50)
    CliRunner().invoke(app, arguments[:2])
    assert given[1] == Options()


def test_a_file_of_another_net_fails_with_an_exit_code(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "receptive_field", lambda _: 633)
    target = tmp_path / "net.onnx"
    export.export(lived_in(tiny_config().network), tiny_config(), target, "0.1.0")
    model = onnx.load(target)
    bias = next(one for one in model.graph.initializer if list(one.dims) == [16])
    bias.raw_data = b"\0" * len(bias.raw_data)
    target.write_bytes(model.SerializeToString())
    result = CliRunner().invoke(app, ["verify", str(target), str(run)])
    assert result.exit_code == 1
    assert "failed" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "run", "net.onnx", "--version", "1.0"), "'1.0' is not major.minor.patch"),
        (("export", "run", "net.onnx", "--version", "1.0.0"), "there is no run"),
        (("verify", "net.onnx", "run"), "there is no run"),
        (
            ("calibrate", "net.onnx", "--sensitivity", "90", "--on", "own"),
            "Invalid value for '--sensitivity'",
        ),
        (
            ("calibrate", "net.onnx", "--sensitivity", "-1", "--on", "own"),
            "Invalid value for '--sensitivity'",
        ),
        (("combine", "to.onnx", "a", "b", "--name", "My Net", "--version", "1.0.0"), "is no name"),
        (("train", "run", "--train-only", "("), "train_only: no regular expression"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once_and_in_words(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code != 0 and isinstance(result.exception, SystemExit)
    assert message in " ".join(result.output.split())


def test_the_commands_know_what_a_contract_takes() -> None:
    assert Contract.model_fields["version"].metadata[0].pattern == VERSION


def test_nothing_to_resume_fails_with_an_exit_code(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run"), "--resume"])
    assert result.exit_code == 1
    assert "nothing to resume" in result.output


def trained(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> TrainingConfig:
    """Return the config with which `train` would start."""
    started: list[TrainingConfig] = []
    monkeypatch.setattr(training, "train", lambda config, *_, **__: started.append(config))
    invoke("train", *arguments)
    return started[0]


def test_train_takes_the_default_a_file_or_the_runs_own_config(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained(monkeypatch, tmp_path) == read_config(CONFIGS / "lite.toml")
    small = CONFIGS / "small.toml"
    assert trained(monkeypatch, tmp_path, "--config", small) == read_config(small)
    assert trained(monkeypatch, run, "--resume") == tiny_config()
    start = tmp_path / "last.ckpt"
    changed = trained(monkeypatch, tmp_path, "--from", start, "--train-only", "^head")
    assert (changed.start_from, changed.train_only) == (start, "^head")


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    result = CliRunner().invoke(app, ["train", str(tmp_path)])
    assert result.exit_code == 130
    assert "--resume" in result.output


def test_ablate_says_where_the_results_are_and_which_row_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, rows = CONFIGS / "ablations" / "losses.toml", []
    monkeypatch.setattr(ablation, "_train", lambda trial, *_: rows.append(trial.name))
    output = invoke("ablate", table, "--out", tmp_path, "--only", "iou")
    assert rows == ["iou-1", "iou-2", "iou-3"]
    assert "results.md" in output
    result = CliRunner().invoke(
        app, ["ablate", str(table), "--out", str(tmp_path), "--only", "ious"]
    )
    assert result.exit_code == 1
    assert "no such row: ious" in result.output
