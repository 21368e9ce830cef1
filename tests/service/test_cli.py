import json
from pathlib import Path

import cv2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner

from service.cli import app
from service.settings import Settings
from tests.identity_net import write_identity_net
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _logs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up the process's logging; the next test must not inherit it."""
    for module in ("commands.serve", "commands.segmenting", "doctor.command", "commands.model"):
        monkeypatch.setattr(f"service.{module}.configure_logs", lambda *_, **__: None)


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    model = write_identity_net(tmp_path / "identity.onnx")
    monkeypatch.setenv("MAMMOSEG_MODEL", str(model))
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    return model


def test_segment_works_without_a_server(identity: Path, tmp_path: Path) -> None:
    picture = tmp_path / "view.png"
    cv2.imwrite(str(picture), breast_phantom())
    text = tmp_path / "text.dcm"
    text.write_text("no image")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["segment", str(picture), str(text), "--out", str(out)])
    assert result.exit_code == 1
    assert json.loads((out / "view.json").read_text())["has_mask"]["decision"] is True
    assert (out / "view-mask.png").is_file() and (out / "view-overlay.png").is_file()
    assert not (out / "text.json").exists()


def test_doctor_says_which_model_and_device(
    identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSEG_PORT", "0")
    with capture_logs():
        result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["model"] == "identity 0.0.1"
    assert report["device"] == "cpu"
    assert report["golden_tile"] == "reproduced"
    walls = report["sandbox"]
    assert {"not-dumpable", "sealed-memory"} <= walls["service"].keys()
    assert {"landlock", "seccomp", "no-new-privileges"} <= walls["readers"].keys()


def test_a_start_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSEG_MODEL", "absent.onnx")
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "absent.onnx" in result.stderr


def test_a_setting_out_of_bounds_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["serve", "--port", "70000"])
    assert result.exit_code == 2
    assert "port" in result.stderr


def test_memory_that_does_not_suffice_is_said_with_what_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAMMOSEG_MEMORY_MIB", "300")
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "cannot start: MEMORY_MIB=300 cannot hold the service" in said
    assert "at least" in said


def test_openapi_yaml_has_not_drifted(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    assert (
        CliRunner().invoke(app, ["openapi", "--check", str(root / "openapi.yaml")]).exit_code == 0
    )
    stale = tmp_path / "openapi.yaml"
    stale.write_text("openapi: 3.1.0\n")
    assert CliRunner().invoke(app, ["openapi", "--check", str(stale)]).exit_code == 1


@pytest.mark.parametrize("name", ["MAMMOSEG_INGEST", "mammoseg_ingest"])
def test_a_deployment_with_a_setting_that_is_gone_starts_and_is_told(
    identity: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "4")

    def ended_at_once(served: FastAPI, _: Settings) -> int:
        with TestClient(served):
            return 0

    monkeypatch.setattr("service.connections.server.serve", ended_at_once)
    with capture_logs() as logs:
        result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 0
    told = [entry for entry in logs if entry["event"] == "setting-retired"]
    assert [(entry["log_level"], entry["setting"]) for entry in told] == [
        ("warning", "MAMMOSEG_INGEST")
    ]
