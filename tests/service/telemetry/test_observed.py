"""What requests leave in metrics and lines."""

import ast
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

import service
from service.app import create_app
from service.errors import StartupError
from service.metrics import Metrics
from service.settings import Settings
from service.telemetry.inference_log import open_inference_log
from service.telemetry.observed import WARNINGS
from service.telemetry.opening import read_secret
from tests.service.api.conftest import opened
from tests.service.inbox.conftest import mammogram

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("borrowed_readers")]

SECRET = "seventeen letters"
OLD_NAMES = (
    *("mammoseg_requests", "mammoseg_request_seconds", "mammoseg_stage_seconds"),
    *("mammoseg_problems", "mammoseg_in_flight", "mammoseg_tiles_waiting"),
    *("mammoseg_net_cpu_seconds", "mammoseg_inbox_instances", "mammoseg_inbox_deliveries"),
    *("mammoseg_inbox_bytes", "mammoseg_deliveries"),
)


def value(client: TestClient, name: str, **labels: str) -> float | None:
    metrics: Metrics = opened(client).metrics
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "lines.jsonl"


@pytest.fixture
def watched(identity_model: Path, tmp_path: Path, lines: Path) -> Iterator[TestClient]:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    settings = Settings(
        model=identity_model,
        device="cpu",
        runners=1,
        readers=1,
        inference_log=lines,
        study_secret_file=tmp_path / "secret",
    )
    with TestClient(create_app(settings)) as client:
        yield client


def test_names_of_metrics_that_were_there_stay(watched: TestClient) -> None:
    shown = {family.name for family in opened(watched).metrics.registry.collect()}
    assert set(OLD_NAMES) - shown == set()


def test_an_image_is_counted_by_what_comes_of_it_and_by_what_it_is_like(
    watched: TestClient, phantom_png: bytes
) -> None:
    assert watched.post("/v1/segment", content=phantom_png).status_code == 200
    view = mammogram(Manufacturer="HOLOGIC, Inc.", ManufacturerModelName="Selenia Dimensions")
    assert watched.post("/v1/segment", content=view).status_code == 200
    assert watched.post("/v1/segment", content=b"no image").status_code == 400
    answer = watched.post("/v1/studies", files=[("a", phantom_png), ("b", b"no image")])
    assert answer.status_code == 200
    images = {
        outcome: value(watched, "mammoseg_images_total", source="request", outcome=outcome)
        for outcome in ("lesion", "no_lesion", "refused", "failed")
    }
    assert images["refused"] == 2 and images["failed"] == 0
    assert (images["lesion"] or 0) + (images["no_lesion"] or 0) == 3
    refused = value(watched, "mammoseg_refusals_total", source="request", code="not-an-image")
    assert refused == 2
    assert value(watched, "mammoseg_warnings_total", code="spacing-assumed") == 3
    unstated = {"manufacturer": "unstated", "model": "unstated"}
    assert value(watched, "mammoseg_score_count", **unstated) == 2
    assert value(watched, "mammoseg_mask_area_mm2_count", **unstated) is None
    unit = {"manufacturer": "hologic", "model": "dimensions"}
    assert value(watched, "mammoseg_score_count", **unit) == 1
    assert value(watched, "mammoseg_bits_stored_sum", **unit) == 12
    assert value(watched, "mammoseg_queue_seconds_count") == 4
    assert value(watched, "mammoseg_queue_length") == 0
    assert value(watched, "mammoseg_slots") == 32
    assert (value(watched, "mammoseg_batch_tiles_sum") or 0) >= 3
    assert value(watched, "mammoseg_tile_wait_seconds_count") == value(
        watched, "mammoseg_image_tiles_sum"
    )
    for stage in ("receive", "read", "wait", "breast", "tiles", "net", "regions", "outputs"):
        assert (value(watched, "mammoseg_stage_seconds_count", stage=stage) or 0) >= 3, stage
    text = watched.get("/metrics").text
    assert re.search(r'mammoseg_model_info\{.*name="identity".*provider="CPUExecution', text)
    assert "mammoseg_build_info{" in text and "process_resident_memory_bytes" in text


def test_an_image_leaves_one_line_that_names_nobody(
    watched: TestClient, lines: Path, phantom_png: bytes
) -> None:
    watched.post("/v1/segment?gate=false", content=mammogram(3))
    watched.post("/v1/segment", content=mammogram(4))
    watched.post("/v1/segment?pixel_spacing_mm=0.5", content=phantom_png)
    watched.post("/v1/segment", content=b"no image")
    written = lines.read_text()
    first, second, third = (json.loads(line) for line in written.splitlines())
    assert first["event"] == "inference" and first["source"] == "request"
    assert (first["model"], first["device"], first["provider"]) == (
        "identity",
        "cpu",
        "CPUExecutionProvider",
    )
    assert first["sha256"] == opened(watched).segmenter.model.sha256
    assert first["study"] == second["study"] and first["image"] != second["image"]
    assert third["study"] is None and third["image"] is not None
    assert first["options"]["gate"] is False
    assert third["options"]["pixel_spacing_mm"] == [0.5, 0.5]
    assert {"read", "net", "total"} <= first["timing_ms"].keys()
    # Neither a UID nor a digest of one that anybody could work out.
    assert not re.search(r"\d+\.\d+\.\d+\.\d+\.\d+", written)
    assert SECRET not in written


def test_another_secret_makes_other_names(identity_model: Path, tmp_path: Path) -> None:
    names = []
    for secret in ("a" * 16, "b" * 16, None):
        log = tmp_path / f"{secret}.jsonl"
        if secret is not None:
            (tmp_path / "secret").write_text(secret)
        settings = Settings(
            model=identity_model,
            device="cpu",
            readers=1,
            inference_log=log,
            study_secret_file=None if secret is None else tmp_path / "secret",
        )
        with TestClient(create_app(settings)) as client:
            client.post("/v1/segment", content=mammogram())
        line = json.loads(log.read_text())
        names += [line["study"], line["image"]]
    assert names[4:] == [None, None]
    assert len(set(names)) == 5


def test_lines_go_on_in_a_new_file_once_the_old_one_was_moved_away(
    watched: TestClient, lines: Path, phantom_png: bytes
) -> None:
    watched.post("/v1/segment", content=phantom_png)
    lines.rename(lines.with_suffix(".1"))
    watched.post("/v1/segment", content=phantom_png)
    assert len(lines.read_text().splitlines()) == 1
    assert lines.with_suffix(".1").stat().st_mode & 0o077 == 0


def test_a_line_that_cannot_be_written_costs_no_answer(
    watched: TestClient,
    lines: Path,
    phantom_png: bytes,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A test before may have left a log whose stream is closed by now.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    lines.unlink()
    lines.mkdir()
    assert watched.post("/v1/segment", content=phantom_png).status_code == 200
    assert "Traceback" not in capsys.readouterr().err


def test_every_warning_of_an_image_is_a_label_of_its_own() -> None:
    folder = Path(service.__file__).parent
    files = [*(folder / "imaging").glob("*.py"), folder / "findings.py", folder / "segmenter.py"]
    codes = {
        call.args[0].value
        for file in files
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "Caveat"
        and isinstance(call.args[0], ast.Constant)
    }
    assert codes == WARNINGS


@pytest.mark.parametrize("before", ["", '{"event": "first"}\n', '{"event": "fi'])
def test_a_line_that_was_broken_off_does_not_take_the_next_one_with_it(
    identity_model: Path, phantom_png: bytes, tmp_path: Path, before: str
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(before)
    settings = Settings(model=identity_model, device="cpu", readers=1, inference_log=file)
    with TestClient(create_app(settings)) as client:
        client.post("/v1/segment", content=phantom_png)
    *first, line = file.read_text().splitlines()
    assert first == before.splitlines()
    assert json.loads(line)["event"] == "inference"


def test_a_pipe_is_not_asked_how_it_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    opened = open_inference_log(tmp_path / "pipe")
    assert opened is not None
    opened.close()
    os.close(reader)


def test_a_line_stands_in_the_log_where_that_is_wanted(
    identity_model: Path, phantom_png: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(model=identity_model, device="cpu", readers=1, inference_log="log")
    with TestClient(create_app(settings)) as client:
        client.post("/v1/segment", content=phantom_png)
    (line,) = [one for one in capfd.readouterr().err.splitlines() if '"inference"' in one]
    assert json.loads(line)["study"] is None


@pytest.mark.parametrize("more", [{"log_format": "console"}, {"log_level": "warning"}])
def test_a_log_that_takes_no_lines_is_no_place_for_them(more: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="INFERENCE_LOG=log"):
        Settings.model_validate({"inference_log": "log"} | more)


@pytest.mark.parametrize("secret", [b"", b"fifteen letters\n", None])
def test_a_secret_that_is_short_or_absent_ends_the_start(
    secret: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if secret is not None:
        file.write_bytes(secret)
    with pytest.raises(StartupError, match="STUDY_SECRET_FILE"):
        read_secret(file)


def test_a_file_for_lines_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="INFERENCE_LOG"):
        open_inference_log(tmp_path / "absent" / "lines")
