from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from model_export.training.choosing import Best

pytestmark = pytest.mark.unit

TRAINER: Any = SimpleNamespace(
    current_epoch=0, strategy=SimpleNamespace(reduce_boolean_decision=lambda value: value)
)


def test_an_epoch_whose_figure_is_no_number_is_not_the_best_and_that_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    best = Best(Path("checkpoints"))
    for value in (float("nan"), float("-inf")):
        assert not best.check_monitor_top_k(TRAINER, torch.tensor(value))
    assert "figure_of_merit of epoch 0 is no number" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no epoch has a figure_of_merit"):
        best.check_chosen()
    assert best.check_monitor_top_k(TRAINER, torch.tensor(0.1))
    best.best_model_path = "best.ckpt"
    best.check_chosen()


def test_its_state_is_found_in_checkpoints_of_before() -> None:
    before = ModelCheckpoint("x", filename="best", monitor="figure_of_merit", mode="max")
    assert Best(Path("x")).state_key == before.state_key
