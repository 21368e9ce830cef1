import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setattr("service.commands.model.configure_logs", lambda *_: None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_identity_net(tmp_path / "identity.onnx")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})
    return result.exit_code, " ".join(result.output.split())


def test_info_says_what_a_model_is(model: Path) -> None:
    status, said = run("model", "info", model)
    assert status == 0
    for part in ("identity 0.0.1", "has-mask threshold 0.5", "64 x 64 pixels of float32", "1 mm"):
        assert part in said


def test_info_as_json_is_the_contract_without_the_golden_tile(model: Path) -> None:
    status, said = run("model", "info", model, "--json")
    told = json.loads(said)
    assert (status, told["operating_point"]["mask"], "golden" in told) == (0, 0.8, False)
    assert len(told["sha256"]) == 64


def test_verify_says_that_the_golden_tile_is_reproduced(model: Path) -> None:
    status, said = run("model", "verify", model)
    assert status == 0
    assert "contract 1 holds; the golden tile is reproduced within" in said


def test_a_model_that_answers_otherwise_does_not_verify(model: Path) -> None:
    changed = onnx.load(model)
    golden = next(one for one in changed.metadata_props if one.key == "mammoseg.golden")
    golden.value = json.dumps(json.loads(golden.value) | {"has_mask_logit": -9.0})
    onnx.save(changed, model)
    status, said = run("model", "verify", model)
    assert status == 1
    assert "the golden tile does not reproduce on cpu" in said


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_file_that_is_no_model_is_said(tmp_path: Path, command: str) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    assert run("model", command, text)[0] == 1
    status, said = run("model", command, tmp_path / "absent.onnx")
    assert (status, "cannot read the model file" in said) == (1, True)
