"""Flags that no contract takes, and files that must not be written: each is told in a sentence."""

from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from model_export.adopt.__main__ import app
from tests.model_export.adopt.nets import SpotNet, aim, as_onnx, display_of, view_file

pytestmark = pytest.mark.integration

SAID = {"--pixels": "0..1", "--spacing": "0.8", "--activation": "softmax", "--lesion-class": "1"}
NAMED = {"--classes": "back,mass,cyst", "--lesion-class": "mass"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a net of three classes and a view."""
    folder = tmp_path_factory.mktemp("net")
    net = aim(SpotNet(1, 3), display_of(view_file(folder))[None])
    onnx.save(as_onnx(net), str(folder / "net.onnx"))
    return folder


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--tile": "16x16"}, "--tile 16x16: sides of 32 to 8192 pixels"),
        ({"--tile": "0x0"}, "--tile 0x0"),
        ({"--tile": "20000x20000"}, "--tile 20000x20000"),
        ({"--tile": "512"}, "ROWSxCOLUMNS"),
        ({"--model-version": "abc"}, "--model-version: "),
        ({"--spacing": "0"}, "--spacing 0"),
        ({"--spacing": "-1"}, "--spacing -1"),
        ({"--spacing": "inf"}, "--spacing inf"),
        ({"--spacing": "100"}, "--spacing: Input should be less than 5"),
        ({"--mean": "nan"}, "--mean nan"),
        ({"--deviation": "0"}, "--deviation 0"),
        ({"--pixels": "5..5"}, "--pixels 5..5"),
        ({"--pixels": "0..70000"}, "--pixels 0..70000"),
        (NAMED | {"--classes": "back,mass!,cyst", "--lesion-class": "mass!"}, "--classes: "),
        (NAMED | {"--classes": "back,m\u00e4ss,cyst", "--lesion-class": "1"}, "hold ASCII alone"),
        (NAMED | {"--classes": "back,mass,mass"}, "two classes have one name"),
        (NAMED | {"--code": "mass=1"}, "NAME=VALUE:SCHEME:MEANING"),
        (NAMED | {"--code": "mass=12345678901234567:SCT:Mass"}, "--code: "),
        (NAMED | {"--code": "cyst=1:SCT:Cyst"}, "no lesion is called so, but mass"),
        ({"--sample": "nowhere.dcm"}, "the sample nowhere.dcm cannot be read"),
        ({"--expected": "nowhere.npy"}, "nowhere.npy cannot be read"),
        ({"--out": "net.onnx"}, "net.onnx would be written over"),
        ({"--out": "shot.onnx", "--expected": "shot.png"}, "shot.png would be written over"),
        ({"--out": "mine.png"}, "a file that ends in .onnx"),
        ({"--out": "folder.onnx"}, "folder.onnx is a folder"),
        ({"--out": "net.onnx/mine.onnx"}, "cannot be written"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_flag_that_cannot_be_meant_is_told_and_nothing_is_written(
    changed: dict[str, str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "folder.onnx").mkdir(exist_ok=True)
    before = {one: one.stat().st_mtime_ns for one in folder.iterdir()}
    options = {"--sample": "view-L.dcm", "--out": "mine.onnx"} | SAID | changed
    words = [word for pair in options.items() for word in pair]
    done = CliRunner().invoke(app, ["net.onnx", *words])
    assert done.exit_code == 1, done.exception
    assert done.stderr.startswith("not adopted: ") and said in done.stderr
    assert {one: one.stat().st_mtime_ns for one in folder.iterdir()} == before
