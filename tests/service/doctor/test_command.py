import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest
from pydantic import SecretStr
from rich.console import Console
from structlog.testing import capture_logs
from typer.testing import CliRunner

from service.cli import app
from service.destinations.store import DicomDestination
from service.destinations.stow import StowDestination
from service.doctor import decoders
from service.doctor.check import Check
from service.doctor.decoders import decoders_check
from service.doctor.model import golden_check
from service.doctor.settings import archive_check, destination_check
from service.imaging.codecs.jpeg_ls import JPEG_LS
from service.imaging.codecs.registry import CODECS
from service.imaging.reader import ReadLimits
from service.reading.reader import InProcess
from service.startup.models import open_model
from tests.identity_net import identity_contract, write_identity_net
from tests.ports import free_port
from tests.store_scp import store_scp
from tests.stow_server import stow_server

pytestmark = pytest.mark.integration

KEYS = (
    *("device_asked_for", "nvidia_device_visible", "device", "model", "sha256", "setup"),
    *("golden_tile", "sandbox", "weights_licence"),
)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    model = write_identity_net(tmp_path / "identity.onnx")
    monkeypatch.setenv("MAMMOSEG_MODEL", str(model))
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setenv("MAMMOSEG_READERS", "1")
    monkeypatch.setenv("MAMMOSEG_PORT", "0")
    monkeypatch.setattr("service.doctor.command.configure_logs", lambda *_, **__: None)
    with capture_logs():
        yield


def test_programs_find_the_keys_that_were_there_and_every_check() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code == 0, report
    assert set(KEYS) <= report.keys()
    assert report["golden_tile"] == "reproduced" and report["well"] is True
    names = [check["name"] for check in report["checks"]]
    assert names == [
        *("settings", "address", "limits", "access", "tls", "inbox", "audit", "telemetry"),
        *("python", "processor", "cores", "memory", "runtime", "decoders"),
        *("model", "contract", "provider", "sandbox", "timing", "signatures"),
    ]


def test_a_net_of_another_framework_is_told_the_command_that_makes_it_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "net.onnx"
    model = onnx.load(str(tmp_path / "identity.onnx"))
    del model.metadata_props[:]
    onnx.save(model, str(foreign))
    results = tmp_path / "results"
    results.mkdir()
    for name in ("dataset.json", "plans.json"):
        (results / name).write_text("{}")
    for path in (foreign, results):
        monkeypatch.setenv("MAMMOSEG_MODEL", str(path))
        done = CliRunner().invoke(app, ["doctor", "--json"])
        report = json.loads(done.stdout)
        (check,) = [one for one in report["checks"] if one["name"] == "model"]
        assert done.exit_code == 1 and check["state"] == "mend"
        assert f"mammoseg adopt {path} --sample view.dcm --out" in check["found"]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr("service.doctor.command.console", console)
    return CliRunner().invoke(app, ["doctor", *arguments]).exit_code, screen.getvalue()


def test_people_get_one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    status, screen = on_a_terminal(monkeypatch)
    assert status == 0
    assert "\x1b[32mwell" in screen and "All is well." in screen
    assert len(screen.splitlines()) <= 24


@pytest.mark.long
def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    _, screen = on_a_terminal(monkeypatch)
    assert "\x1b[3" not in screen and "provider" in screen


@pytest.mark.parametrize(
    ("name", "value", "check", "said"),
    [
        ("MAMMOSEG_MEMORY_MB", "2048", "settings", "is it MAMMOSEG_MEMORY_MIB?"),
        ("MAMMOSEG_PORT", "70000", "settings", "port"),
        ("MAMMOSEG_DEVICE", "cuda", "runtime", "CUDA"),
        ("MAMMOSEG_MODEL", "absent.onnx", "model", "absent.onnx"),
        ("MAMMOSEG_MEMORY_MIB", "1048576", "memory", "1048576 MiB"),
    ],
)
def test_what_must_be_mended_is_said_and_ends_with_1(
    name: str, value: str, check: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    (found,) = [each for each in report["checks"] if each["name"] == check]
    assert (found["state"], report["well"]) == ("mend", False)
    assert said in found["found"] and found["advice"]


def test_no_secret_of_a_setting_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSEG_DESTINATIONS", '[{"url": "ftp://pacs", "token": "s3cr3t"}]')
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1 and "s3cr3t" not in done.output


def test_a_net_that_is_another_one_here_is_found(tmp_path: Path) -> None:
    with open_model(write_identity_net(tmp_path / "net.onnx")) as segmenter:
        assert golden_check(segmenter).state == "well"
        golden = segmenter.contract.golden.model_copy(update={"has_mask_logit": -9.0})
        segmenter.contract = identity_contract(golden=golden)
        assert golden_check(segmenter).state == "mend"


def test_a_decoder_that_decodes_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InProcess(ReadLimits())
    assert decoders_check(reader).state == "well"
    wrong = replace(JPEG_LS, encode=lambda codes: JPEG_LS.encode(codes[::-1].copy()))
    codecs = [wrong if codec is JPEG_LS else codec for codec in CODECS]
    monkeypatch.setattr(decoders, "CODECS", codecs)
    found = decoders_check(reader)
    assert (found.state, found.found) == ("mend", "JPEG-LS: another image")


def test_what_settings_refuse_is_not_put_down_to_the_decoders() -> None:
    reader = InProcess(ReadLimits(accept_modalities=frozenset({"CR"})))
    assert decoders_check(reader, "CR").state == "well"
    found = decoders_check(reader)
    assert (found.state, found.found) == ("mend", "uncompressed: modality-not-accepted")
    assert found.advice is not None and "ACCEPT_MODALITIES" in found.advice


def test_destinations_are_asked_on_request() -> None:
    nobody = destination_check(StowDestination(url=f"http://127.0.0.1:{free_port()}/dicom-web"))
    assert nobody.state == "mend" and "reached" in nobody.found
    with stow_server() as pacs:
        # It knows of STOW-RS alone.
        found = destination_check(StowDestination(url=pacs.url))
    assert (found.state, found.found) == ("note", "answers 501")


@pytest.mark.parametrize(
    ("status", "state"), [(200, "well"), (204, "well"), (401, "mend"), (404, "note"), (500, "mend")]
)
def test_an_answer_of_a_destination_is_judged(
    status: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def get(url: str, **options: Any) -> httpx.Response:
        asked.update(options, url=url)
        return httpx.Response(status)

    monkeypatch.setattr("service.doctor.settings.httpx.get", get)
    destination = StowDestination(url="https://pacs/dicom-web/", token=SecretStr("s3cr3t"))
    found = destination_check(destination)
    assert found.state == state and "s3cr3t" not in str(found)
    assert asked["url"] == "https://pacs/dicom-web/studies?limit=1"
    assert asked["headers"]["Authorization"] == "Bearer s3cr3t"


def test_help_shows_examples() -> None:
    said = CliRunner().invoke(app, ["doctor", "--help"]).stdout
    assert "mammoseg doctor --json | jq" in said


def test_an_archive_is_associated_with_on_request() -> None:
    def check(url: str) -> Check:
        return archive_check(DicomDestination(url=url), "MAMMOSEG")

    with store_scp(called_ae="ARCHIVE") as archive:
        assert check(archive.url()).state == "note"
        assert archive.received == {}
        assert "called-ae-unknown" in check(archive.url().replace("ARCHIVE", "OTHER")).found
    assert check(f"dicom://ARCHIVE@127.0.0.1:{free_port()}").state == "mend"


def test_every_model_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write_identity_net(tmp_path / f"{name}.onnx") for name in ("one", "two", "next")]
    monkeypatch.delenv("MAMMOSEG_MODEL")
    monkeypatch.setenv("MAMMOSEG_MODELS", f"{files[0]},{files[1]}")
    monkeypatch.setenv("MAMMOSEG_SHADOW", str(files[2]))
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert [(one["id"], one["role"]) for one in told["models"]] == [
        ("one", "default"),
        ("two", "served"),
        ("next", "shadow"),
    ]
    checks = {check["name"]: check["found"] for check in told["checks"]}
    assert "golden tile off by" in checks["model two"]
    assert "golden tile off by" in checks["model next"]
    assert "any file is served" in checks["signatures"]
