"""One frame of a tomosynthesis over HTTP, on the command line, in the answer."""

import json
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from service.cli import app
from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from tests.dicom_files import multi_frame_file
from tests.service.api.conftest import breast_phantom
from tests.service.api.test_segment import decode_rle
from tests.transfer_syntaxes import JPEG_LS, RLE

pytestmark = pytest.mark.integration

URL = "/v1/segment?pixel_spacing_mm=1"
FRAMES = [
    breast_phantom().astype(np.int32),
    breast_phantom()[::-1].astype(np.int32),
    breast_phantom()[:, ::-1].astype(np.int32),
]


def tomosynthesis(syntax: str = EXPLICIT_LITTLE) -> bytes:
    return multi_frame_file(FRAMES, syntax=syntax, bits_stored=8, bits_allocated=8)


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, RLE, JPEG_LS])
@pytest.mark.parametrize("frame", [1, 2, 3])
def test_the_mask_is_that_frames(client: TestClient, syntax: str, frame: int) -> None:
    answer = client.post(f"{URL}&frame={frame}", content=tomosynthesis(syntax))
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert result["image"]["frame"] == frame
    assert "frame-of-several" in [warning["code"] for warning in result["warnings"]]
    np.testing.assert_array_equal(decode_rle(result["mask"]), FRAMES[frame - 1] == 250)


def test_without_a_frame_the_refusal_says_why_and_how(client: TestClient) -> None:
    answer = client.post(URL, content=tomosynthesis())
    assert (answer.status_code, answer.json()["code"]) == (422, "multi-frame")
    assert "frame=" in answer.json()["detail"]


def test_a_form_names_the_frame_too(client: TestClient) -> None:
    answer = client.post(URL, files={"f": ("a.dcm", tomosynthesis())}, data={"frame": "2"})
    assert answer.json()["image"]["frame"] == 2


@pytest.mark.parametrize(
    ("frame", "code"),
    [("4", "no-such-frame"), ("0", "invalid-parameter"), ("x", "invalid-parameter")],
)
def test_a_frame_that_is_not_there(client: TestClient, frame: str, code: str) -> None:
    answer = client.post(f"{URL}&frame={frame}", content=tomosynthesis())
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_an_only_image_needs_no_number(client: TestClient, phantom_png: bytes) -> None:
    assert client.post(URL, content=phantom_png).json()["image"]["frame"] is None


def test_the_command_line_takes_a_frame(
    identity_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSEG_MODEL", str(identity_model))
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setattr("service.commands.segmenting.configure_logs", lambda *_, **__: None)
    file = tmp_path / "tomo.dcm"
    file.write_bytes(tomosynthesis())
    command = ["segment", str(file), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, command).exit_code == 1
    assert CliRunner().invoke(app, [*command, "--frame", "3"]).exit_code == 0
    assert json.loads((tmp_path / "out" / "tomo.json").read_text())["image"]["frame"] == 3
