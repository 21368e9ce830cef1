"""docs/adopt.md: each command that it shows is run, in a folder that holds what it names."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from model_export import cli
from model_export.adopt import smp as smp_adapter
from model_export.adopt.__main__ import app
from model_export.adopt.flags import IMAGENET_DEVIATION, IMAGENET_MEAN
from model_export.phantom import breast_phantom
from service.inference.session import Session
from tests.model_export.adopt.libraries import require_library
from tests.model_export.adopt.nets import (
    SpotNet,
    aim,
    aim_head,
    as_onnx,
    display_of,
    logits_of,
    sigmoid,
)
from tests.model_export.adopt.test_monai_bundle import write_bundle
from tests.model_export.adopt.test_nnunet import write_results
from tests.model_export.adopt.test_torch_files import write_program, write_script

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "adopt.md").read_text("utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
COMMANDS = [line for line in LINES if line.startswith("mammoseg ")]
CHEAP = ("net.onnx", "classes.onnx", "net.pt", "net.pt2")
AFTERWARDS = [line for line in LINES if line not in COMMANDS]


def colours(display: np.ndarray) -> np.ndarray:
    mean, deviation = (
        np.array(one, np.float32)[:, None, None] for one in (IMAGENET_MEAN, IMAGENET_DEVIATION)
    )
    return (display[None] - mean) / deviation


def photographic(folder: Path, view: Path) -> None:
    image = colours(display_of(view))
    net = aim(SpotNet(3, 1), image)
    onnx.save(as_onnx(net), str(folder / "net.onnx"))
    np.save(folder / "expected.npy", sigmoid(logits_of(net, image))[0])


def several_classes(folder: Path, view: Path) -> None:
    net = aim(SpotNet(1, 3, seed=5), display_of(view)[None], share=0.1)
    onnx.save(as_onnx(net), str(folder / "classes.onnx"))


def torch_file(write: Callable[[SpotNet, Path], None], name: str) -> Callable[[Path, Path], None]:
    def make(folder: Path, view: Path) -> None:
        require_library("onnxscript", "onnxscript")
        image = display_of(view)[None]
        net = aim(SpotNet(1, 1), image)
        np.save(folder / "expected.npy", sigmoid(logits_of(net, image))[0])
        write(net, folder / name)

    return make


def unet(folder: Path, view: Path) -> None:
    require_library("segmentation_models_pytorch", "segmentation-models-pytorch")
    require_library("onnxscript", "onnxscript")
    smp = smp_adapter._library()
    torch.manual_seed(0)
    net = smp.Unet("resnet18", encoder_weights=None).eval()
    image = colours(display_of(view))[:, :288, :224].astype(np.float32)
    with torch.no_grad():
        answer = net(torch.from_numpy(image[None]))[0]
    aim_head(net.segmentation_head[0], answer, display_of(view)[:288, :224] > 0)
    torch.save(net.state_dict(), folder / "unet.ckpt")
    net.config["encoder_weights"] = "imagenet"
    net.save_pretrained(folder / "unet")


def bundle(folder: Path, view: Path) -> None:
    require_library("monai", "monai")
    require_library("onnxscript", "onnxscript")
    write_bundle(folder / "bundle", view)


def results(folder: Path, view: Path) -> None:
    require_library("nnunetv2", "nnunetv2")
    require_library("onnxscript", "onnxscript")
    write_results(folder / "results", view)


MAKERS: dict[str, Callable[[Path, Path], None]] = {
    "net.onnx": photographic,
    "classes.onnx": several_classes,
    "net.pt": torch_file(write_script, "net.pt"),
    "net.pt2": torch_file(write_program, "net.pt2"),
    "unet": unet,
    "unet.ckpt": unet,
    "bundle": bundle,
    "results": results,
}


def marked(line: str) -> Any:
    """Return a command as a parameter; those that need little are marked for `make test-long`."""
    source = shlex.split(line)[2]
    marks = [pytest.mark.frameworks] if source in CHEAP else []
    return pytest.param(line, id=source, marks=marks)


@pytest.mark.frameworks
def test_the_page_shows_every_framework() -> None:
    assert {shlex.split(line)[2] for line in COMMANDS} == set(MAKERS)


@pytest.mark.parametrize("line", [marked(line) for line in COMMANDS])
def test_every_command_of_the_page_runs(
    line: str, view: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, command, *arguments = shlex.split(line)
    assert (program, command) == ("mammoseg", "adopt")
    MAKERS[arguments[0]](tmp_path, view)
    (tmp_path / "view.dcm").write_bytes(view.read_bytes())
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    contract = Session.open(tmp_path / "mine.onnx").contract
    assert contract.adopted is not None
    unproven = arguments[0] == "classes.onnx"
    assert (contract.adopted.proof == "unproven") == unproven
    assert "next: MAMMOSEG_MODEL=mine.onnx mammoseg serve" in done.stdout


def own_images(folder: Path, seeds: range) -> None:
    """Write breasts with a mask each, as somebody may have them."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for seed in seeds:
        grey = breast_phantom(256, seed=seed)
        mask = cv2.circle(np.zeros_like(grey), (60, 100 + seed), 12, 255, -1)
        cv2.imwrite(str(folder / "images" / f"{seed}.png"), grey)
        cv2.imwrite(str(folder / "masks" / f"{seed}.png"), mask)


@pytest.mark.frameworks
def test_the_commands_for_afterwards_run_one_after_the_other(
    view: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographic(tmp_path, view)
    (tmp_path / "view.dcm").write_bytes(view.read_bytes())
    own_images(tmp_path / "data" / "own", range(40))
    own_images(tmp_path / "data" / "other", range(40, 44))
    monkeypatch.chdir(tmp_path)
    (adopted,) = [line for line in COMMANDS if shlex.split(line)[2] == "net.onnx"]
    assert CliRunner().invoke(app, shlex.split(adopted)[2:]).exit_code == 0
    assert Session.open(tmp_path / "mine.onnx").contract.is_uncalibrated
    for line in AFTERWARDS:
        program, arguments = shlex.split(line)[:3], shlex.split(line)[3:]
        assert program == ["python", "-m", "model_export"]
        done = CliRunner().invoke(cli.app, arguments)
        assert done.exit_code == 0, done.output
    assert not Session.open(tmp_path / "mine.onnx").contract.is_uncalibrated
    assert any((tmp_path / "report").iterdir())


@pytest.mark.frameworks
def test_what_is_not_said_is_asked_with_an_exit_status_of_its_own(
    view: Path, tmp_path: Path
) -> None:
    photographic(tmp_path, view)
    command = [sys.executable, "-m", "service", "adopt", "net.onnx", "--sample", str(view)]
    done = subprocess.run(
        [*command, "--out", "mine.onnx"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--pixels" in done.stderr and "--spacing" in done.stderr
    assert not (tmp_path / "mine.onnx").exists()
