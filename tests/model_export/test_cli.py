import json
from pathlib import Path

import onnx
import pytest
import torch
from typer.testing import CliRunner

from model_export import evaluation, export
from model_export.cli import app
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


def contract_of(path: Path) -> Contract:
    return Contract.from_metadata({one.key: one.value for one in onnx.load(path).metadata_props})


def test_export_calibrate_evaluate(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "receptive_field", lambda _: 633)  # counted in its own test
    monkeypatch.setattr(evaluation, "RESAMPLES", 20)
    target, data = tmp_path / "net.onnx", write_all(tmp_path / "data")
    result = CliRunner().invoke(app, ["export", str(run), str(target), "--version", "0.1.0"])
    assert result.exit_code == 0, result.output
    assert "agree within" in result.output
    assert "not chosen" in contract_of(target).operating_point.chosen_by

    result = CliRunner().invoke(app, ["calibrate", str(target), "--data", str(data)])
    assert result.exit_code == 0, result.output
    contract = contract_of(target)
    assert "Youden" in contract.operating_point.chosen_by
    assert "cdd-cesm/dice" in contract.provenance.evaluation

    result = CliRunner().invoke(app, ["verify", str(target), str(run)])
    assert result.exit_code == 0, result.output
    assert float(contract.provenance.evaluation["has_mask_shift"]) != 0.0

    saved = tmp_path / "report"
    result = CliRunner().invoke(
        app, ["evaluate", str(target), "--data", str(data), "--save", str(saved)]
    )
    assert result.exit_code == 0, result.output
    found = json.loads((saved / "figures.json").read_text())
    assert found["cdd-cesm/dice"]["value"] == pytest.approx(
        float(contract.provenance.evaluation["cdd-cesm/dice"]), abs=1e-4
    )
    assert "cdd-cesm/dice" in (saved / "figures.md").read_text()


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


def test_nothing_to_resume_fails_with_an_exit_code(tmp_path: Path) -> None:
    data = write_all(tmp_path / "data")
    arguments = ["train", str(tmp_path / "run"), "--data", str(data), "--resume"]
    result = CliRunner().invoke(app, [*arguments, "--packed", str(tmp_path / "packed")])
    assert result.exit_code == 1
    assert "nothing to resume" in result.output
