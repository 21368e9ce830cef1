import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.inference.signature_path import signature_path
from tests.identity_net import write_identity_net
from tests.service.inference.signed import new_key

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setattr("service.commands.model.configure_logs", lambda *_, **__: None)


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


def test_a_model_is_signed_and_its_signature_verified(model: Path, tmp_path: Path) -> None:
    key, other = new_key(tmp_path), new_key(tmp_path, "other").with_suffix(".pub")
    public = key.with_suffix(".pub")
    assert run("model", "verify", model, "--key", public)[0] == 1
    status, said = run("model", "sign", model, "--key", key)
    assert (status, said) == (0, f"{signature_path(model)} signs {model}")
    status, said = run("model", "verify", model, "--key", other, "--key", public)
    assert status == 0
    assert f"signed, see {signature_path(model)}" in said
    status, said = run("model", "verify", model, "--key", other)
    assert status == 1
    assert "made by none of the keys" in said
    assert "signed, see" not in run("model", "verify", model)[1]


def test_the_key_in_the_settings_holds_for_verify(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path)
    monkeypatch.setenv("MAMMOSEG_MODEL_KEY", str(key.with_suffix(".pub")))
    assert run("model", "verify", model)[0] == 1
    run("model", "sign", model, "--key", key)
    assert run("model", "verify", model)[0] == 0


def test_a_key_with_a_password_asks_for_it(model: Path, tmp_path: Path) -> None:
    key = new_key(tmp_path, password=b"secret")
    command = ["model", "sign", str(model), "--key", str(key)]
    assert CliRunner().invoke(app, command, input="wrong\n").exit_code == 1
    result = CliRunner().invoke(app, command, input="secret\n")
    assert result.exit_code == 0
    assert "secret" not in result.output


def test_what_cannot_be_signed_or_written_is_told(model: Path, tmp_path: Path) -> None:
    key, text = new_key(tmp_path), tmp_path / "text.onnx"
    text.write_bytes(b"no model")
    assert run("model", "sign", text, "--key", key)[0] == 1
    assert run("model", "sign", model, "--key", tmp_path / "absent.pem")[0] == 1
    assert run("model", "sign", model, "--key", key, "--out", tmp_path / "no" / "file")[0] == 4
