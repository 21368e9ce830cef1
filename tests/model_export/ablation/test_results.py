import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.ablation.results import Result, collect, result_of, save, write
from model_export.ablation.table import Trial
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.unit


def result(row: str, seed: int, dice: float, seconds: float | None = 60.0) -> Result:
    last = {"figure_of_merit": dice, "cdd-cesm/dice": dice}
    return Result(row, seed, 6, last, {**last, "cdd-cesm/dice": dice + 0.1}, seconds)


def test_last_and_best_are_of_one_validation_each() -> None:
    read = {
        "figure_of_merit": [(2, 0.5), (5, 0.7), (8, 0.6)],
        "cdd-cesm/dice": [(2, 0.9), (5, 0.3), (8, 0.4)],
        "loss": [(5, 1.0), (8, 0.5)],
        "lr-AdamW/rest": [(8, 0.1)],
        "pos_weight": [(8, 3.0)],
        "epoch": [(8, 1.0)],
    }
    found = result_of(Trial("row", 3, tiny_config()), read, 12.0)
    assert found == Result(
        row="row",
        seed=3,
        steps=6,
        last={"cdd-cesm/dice": 0.4, "figure_of_merit": 0.6},
        best={"cdd-cesm/dice": 0.3, "figure_of_merit": 0.7},
        seconds=12.0,
    )


def test_results_are_collected_in_the_tables_order(tmp_path: Path) -> None:
    trials = [Trial(row, 1, tiny_config()) for row in ("b", "missing", "a")]
    for row in ("a", "b"):
        (tmp_path / f"{row}-1").mkdir()
        save(result(row, 1, 0.5), tmp_path / f"{row}-1")
    assert collect(trials, tmp_path) == [result("b", 1, 0.5), result("a", 1, 0.5)]


def test_the_table_gives_mean_and_deviation_over_seeds(tmp_path: Path) -> None:
    results = [result("one", 1, 0.4), result("one", 2, 0.6, None), result("two", 1, 0.25)]
    write(results, tmp_path)
    last, best = (tmp_path / "results.md").read_text().split("## ")[1:]
    assert "| one | 2 | 6 | 0.500 ± 0.141 | 0.500 ± 0.141 | 1.000 |" in last
    assert "| two | 1 | 6 | 0.250 | 0.250 | 1.000 |" in last
    assert "| two | 1 | 6 | 0.250 | 0.350 |" in best
    assert [Result(**one) for one in json.loads((tmp_path / "results.json").read_text())] == results


def test_bars_are_as_long_as_figures_are_large(tmp_path: Path) -> None:
    write([result("half", 1, 0.5), result("whole", 1, 1.0)], tmp_path)
    picture = cv2.imread(str(tmp_path / "results.png"))
    # Blue of the bars; the first panel is as wide as half of the picture.
    blue = (picture[..., 0].astype(int) - picture[..., 2] > 60)[:, : picture.shape[1] // 2]
    lengths = blue.sum(axis=1)
    rows = lengths[lengths > 5]
    half, whole = np.median(rows[: len(rows) // 2]), np.median(rows[len(rows) // 2 :])
    assert half / whole == pytest.approx(0.5, abs=0.1)


def test_nothing_finished_gives_empty_tables(tmp_path: Path) -> None:
    write([], tmp_path / "out")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == []
