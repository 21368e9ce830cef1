import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from model_export.ablation import run as module
from model_export.ablation.run import run
from model_export.ablation.table import Trial
from model_export.config import MaskTerms, TrainingConfig
from model_export.training.run import train
from tests.model_export.samples import write_all
from tests.model_export.tiny import tiny_config
from tests.model_export.training.test_run import pytestmark, quick_picture

__all__ = ["pytestmark", "quick_picture"]


def trials() -> list[Trial]:
    config = tiny_config(epochs=1).model_copy(update={"steps_per_epoch": 1})
    losses = config.losses.model_copy(update={"mask": MaskTerms(dice=1)})
    return [
        Trial("sum", 5, config),
        Trial("dice", 5, config.model_copy(update={"losses": losses})),
    ]


@pytest.mark.long
def test_trials_run_in_turn_are_resumed_and_are_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, packed, out = write_all(tmp_path / "data"), tmp_path / "packed", tmp_path / "out"
    calls: list[tuple[str, bool]] = []
    stop = ["dice-5"]

    def watched(
        config: TrainingConfig, data: Path, packed: Path, folder: Path, *, resume: bool
    ) -> None:
        calls.append((folder.name, resume))
        train(config, data, packed, folder, resume=resume)
        if folder.name in stop:
            stop.clear()
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", watched)
    console = Console(file=io.StringIO())
    with pytest.raises(KeyboardInterrupt):
        run(trials(), data, packed, out, console)
    assert [one["row"] for one in json.loads((out / "results.json").read_text())] == ["sum"]

    results = run(trials(), data, packed, out, console)
    assert calls == [("sum-5", False), ("dice-5", False), ("dice-5", True)]
    assert [one.row for one in results] == ["sum", "dice"]
    assert results[0].seconds is not None and results[1].seconds is None
    assert all("cdd-cesm/dice" in one.last and one.best == one.last for one in results)
    for name in ("results.json", "results.md", "results.png", "sum-5/curves.png"):
        assert (out / name).stat().st_size > 0

    changed = [Trial("sum", 5, trials()[1].config)]
    with pytest.raises(ValueError, match="another config"):
        run(changed, data, packed, out, console)


def test_only_known_rows_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(module, "_train", lambda trial, *_: names.append(trial.name))
    console = Console(file=io.StringIO())
    run(trials(), tmp_path, tmp_path, tmp_path / "out", console, only=["dice"])
    assert names == ["dice-5"]
    with pytest.raises(ValueError, match="no such row: dise"):
        run(trials(), tmp_path, tmp_path, tmp_path / "out", console, only=["dise"])
