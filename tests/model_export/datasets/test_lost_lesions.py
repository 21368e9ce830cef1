"""Lesions finer than the working grid: told, and not taught as if they were none."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from model_export import cli
from model_export.command import LITE
from model_export.config import Phase, Stream
from model_export.datasets import cache
from model_export.datasets.lost_lesions import Kept, kept_of
from model_export.phantom import breast_phantom
from model_export.training import curves
from model_export.training.run import train
from model_export.training.validation import can_choose
from service.imaging.normalise import Normalisation
from tests.model_export.samples import disc
from tests.model_export.tiny import tiny_config

FINE, COARSE = 0.2, 1.6
"""Millimetres a pixel, of the images and of the grid."""


@pytest.mark.unit
def test_a_piece_is_lost_where_no_pixel_of_the_grid_lies_under_it() -> None:
    lesion = np.zeros((64, 64), np.bool_)
    lesion[2, 2], lesion[2, 30], lesion[32:64, 32:64] = True, True, True
    grid = cache.resize_mask(lesion, (8, 8))
    assert kept_of(lesion, grid) == Kept(drawn=3, lost=2)
    assert not kept_of(lesion, grid).is_lost and not Kept().is_lost
    assert kept_of(lesion, np.zeros((8, 8), np.bool_)).is_lost


def write_specks(data: Path, count: int = 20, drawn: int = 0) -> None:
    """Write `own`: images with two specks each, the first `drawn` of them with a mass as well."""
    for part in ("images", "masks"):
        (data / "own" / part).mkdir(parents=True)
    rows = ["name,patient,pixel_spacing_mm"]
    for number in range(count):
        mask = np.zeros((512, 512), np.uint8)
        mask[200:202, 120:122] = mask[240:242, 100:102] = 255
        if number < drawn:
            mask = cv2.max(mask, disc(512, 184, 60, 30))
        cv2.imwrite(str(data / "own" / "images" / f"i{number}.png"), breast_phantom(512, number))
        cv2.imwrite(str(data / "own" / "masks" / f"i{number}.png"), mask)
        rows.append(f"i{number},{number},{FINE}")
    (data / "own" / "table.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.integration
def test_an_image_whose_lesions_are_all_lost_has_no_mask_and_chooses_nothing(
    tmp_path: Path,
) -> None:
    write_specks(tmp_path, count=2, drawn=1)
    cache.build(tmp_path, tmp_path / "cache", ["own"], COARSE, Normalisation())
    found, lost = cache.load(tmp_path / "cache", "own", COARSE)
    assert found.lesion is not None and found.kept == Kept(drawn=3, lost=2)
    assert lost.has_lesion and lost.lesion is None and lost.kept == Kept(drawn=2, lost=2)
    assert can_choose([found]) and not can_choose([lost])


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")
@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning")
@pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers:UserWarning")
def test_training_tells_of_lost_lesions_and_the_first_epoch_is_not_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "draw", lambda read, target: target.write_text(",".join(read)))
    write_specks(tmp_path / "data")
    stream = Stream(rows=64, columns=64, mix={"own": 2})
    changes = {"phases": (Phase(epochs=2, streams=(stream,)),), "steps_per_epoch": 1}
    config, run = tiny_config().model_copy(update=changes), tmp_path / "run"
    train(config, tmp_path / "data", tmp_path / "packed", run, resume=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "own: 40 of 40 drawn lesions have nothing left on the grid of 1.6 mm" in said
    assert "Of 20 of 20 images no lesion is left" in said
    assert "best.ckpt will be the last epoch's" in said
    stored = torch.load(run / "checkpoints" / "best.ckpt", weights_only=False)
    assert stored["global_step"] == 2
    assert all(bool(torch.isfinite(one).all()) for one in stored["state_dict"].values())


@pytest.mark.integration
def test_an_audit_tells_of_them_too(tmp_path: Path) -> None:
    write_specks(tmp_path, count=2, drawn=1)
    lite = LITE.read_text()
    coarse = re.sub(r"(?m)^working_mm = .*$", f"working_mm = {COARSE}", lite)
    (tmp_path / "coarse.toml").write_text(coarse)
    asked = ["audit", "--data", str(tmp_path), "--tiles", "0"]
    said = CliRunner().invoke(cli.app, [*asked, "--config", str(tmp_path / "coarse.toml")]).output
    assert "own: 4 of 5 drawn lesions have nothing left" in " ".join(said.split())
