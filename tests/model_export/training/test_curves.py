from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.training import curves

pytestmark = pytest.mark.unit


def write(run: Path, start: int, text: str) -> None:
    folder = run / "csv" / f"version_{start}"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(text)


def test_what_a_later_start_took_again_counts_once(tmp_path: Path) -> None:
    write(tmp_path, 0, "loss,step,cdd-cesm/dice\n3.0,0,\n2.0,5,\n,5,0.4\n1.0,10,\n")
    write(tmp_path, 1, "loss,step,lr-AdamW/rest\n1.5,6,\n1.25,11,\n,11,0.1\n")
    write(tmp_path, 10, "loss,step\n1.0,12\n")
    (tmp_path / "csv" / "version_11").mkdir()  # broken off before anything was logged
    assert curves.read(tmp_path) == {
        "loss": [(0, 3.0), (5, 2.0), (6, 1.5), (11, 1.25), (12, 1.0)],
        "cdd-cesm/dice": [(5, 0.4)],
        "lr-AdamW/rest": [(11, 0.1)],
    }


def test_a_run_without_logs_has_no_curves(tmp_path: Path) -> None:
    assert curves.read(tmp_path) == {}


@pytest.mark.long
def test_every_curve_is_in_the_picture(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty.png", tmp_path / "full.png"
    names = ("loss", "lr-AdamW/rest", "pos_weight", "a/dice", "a/auc", "figure_of_merit")
    curves.draw({}, empty)
    curves.draw({name: [(step, 1.0 / (step + 1)) for step in range(30)] for name in names}, full)
    one, other = (cv2.imread(str(path)) for path in (empty, full))
    assert one.shape == other.shape
    # Six panels, each with a line that the empty picture lacks.
    height, width = one.shape[0] // 2, one.shape[1] // 3
    for row in range(2):
        for column in range(3):
            panel = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            coloured = np.ptp(other[panel].astype(int), axis=2) > 40
            assert coloured.sum() > 20
            assert not (np.ptp(one[panel].astype(int), axis=2) > 40).any()
