"""`mammoseg demo`: what a new user sees first, also when something is in the way."""

import errno
import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from service import demo
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.integration


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), width=80)


def said(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return " ".join(screen.file.getvalue().split())


@pytest.fixture
def one_case(tmp_path: Path, cbis_files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """One view is enough."""
    folder = tmp_path / "package" / "cases" / cbis_files[0].parent.name
    folder.mkdir(parents=True)
    shutil.copy(cbis_files[0], folder)
    monkeypatch.setattr(demo, "files", lambda _: tmp_path / "package")


@pytest.mark.slow
def test_the_demo_says_where_to_look_and_what_to_do_next(
    one_case: None, tmp_path: Path, screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSEG_MODEL", str(write_identity_net(tmp_path / "identity.onnx")))
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    out = tmp_path / "demo"
    out.mkdir()
    (out / "service.log").write_text("of another service")
    assert demo.run_demo(out, screen) == 0
    (picture,) = out.glob("*-overlay.png")
    answer = json.loads((out / picture.name.replace("-overlay.png", ".json")).read_text())
    assert answer["image"]["rows"] > 0
    assert "renders" not in answer
    (view,) = (tmp_path / "package").rglob("*.dcm")
    assert (out / demo.MAMMOGRAM).read_bytes() == view.read_bytes()
    words = said(screen)
    assert picture.name in words.replace(" ", "") and "Next: `make serve`" in words
    assert "not a medical device" in words
    assert not (out / demo.LOG_NAME).exists()
    assert (out / "service.log").read_text() == "of another service"


@pytest.mark.long
@pytest.mark.slow
def test_a_service_that_does_not_start_is_said_with_its_log(
    one_case: None, tmp_path: Path, screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSEG_MODEL", "absent.onnx")
    assert demo.run_demo(tmp_path / "demo", screen) == 1
    assert "absent.onnx" in (tmp_path / "demo" / demo.LOG_NAME).read_text()
    words = said(screen)
    assert "absent.onnx" in words and "The service failed; its log is" in words


def test_a_folder_that_cannot_be_written_is_said(
    one_case: None, tmp_path: Path, screen: Console
) -> None:
    (tmp_path / "file").write_text("")
    assert demo.run_demo(tmp_path / "file" / "demo", screen) == 2
    assert "Cannot write to" in said(screen) and "--out" in said(screen)


def test_a_full_disk_is_said(
    one_case: None, tmp_path: Path, screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    assert demo.run_demo(tmp_path / "demo", screen) == 2
    assert "the disk is full" in said(screen)
