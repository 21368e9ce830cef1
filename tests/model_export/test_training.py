from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from model_export import training
from model_export.config import TrainingConfig
from model_export.networks import LiteOptions, build, imagenet, pretrain
from model_export.sampling import CropBatches
from model_export.training import Batches, SegmentationTask, merit, train
from tests.model_export.samples import packed_all, write_all
from tests.model_export.tiny import tiny_config

pytestmark = [
    pytest.mark.integration,
    # Lightning's own housekeeping, none of it ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers:UserWarning"),
]


def weights(run: Path) -> dict[str, torch.Tensor]:
    stored = torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)
    averaged: dict[str, torch.Tensor] = stored["state_dict"]
    return averaged


def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, packed = write_all(tmp_path / "data"), tmp_path / "packed"
    config = tiny_config(epochs=2)
    train(config, data, packed, tmp_path / "whole", resume=False)

    make = training._trainer

    def stopped(config: TrainingConfig, run: Path) -> training.lightning.Trainer:
        trainer = make(config, run)
        trainer.fit_loop.max_epochs = 1
        return trainer

    with monkeypatch.context() as patched:
        patched.setattr(training, "_trainer", stopped)
        train(config, data, packed, tmp_path / "broken", resume=False)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert any(not torch.equal(one[key], other[key]) for key in one)

    train(config, data, packed, tmp_path / "broken", resume=True)
    other = weights(tmp_path / "broken")
    assert all(torch.equal(one[key], other[key]) for key in one)

    run = tmp_path / "broken"
    assert TrainingConfig.model_validate_json((run / "config.json").read_text()) == config
    assert (run / "git.txt").exists()
    assert (run / "checkpoints" / "best.ckpt").exists()
    assert list(run.glob("tensorboard/**/events.*"))


def test_each_epoch_gets_its_own_batches() -> None:
    config = tiny_config()
    batches = Batches(config, packed_all())
    batches.trainer = cast(training.lightning.Trainer, SimpleNamespace(current_epoch=1))
    first = next(iter(batches.train_dataloader()))
    assert torch.equal(first.tiles, CropBatches(packed_all(), config, 1)[0].tiles)


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    data = write_all(tmp_path / "data")
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(tiny_config(), data, tmp_path / "packed", tmp_path / "run", resume=True)


def test_every_part_of_the_loss_falls_on_one_batch() -> None:
    config = tiny_config()
    task = SegmentationTask(config)
    batch = CropBatches(packed_all(), config, 0)[1]
    optimiser = torch.optim.AdamW(task.parameters(), lr=3e-3)
    logged: dict[str, list[float]] = defaultdict(list)
    task.log = lambda name, value, **_: logged[name].append(float(value))  # type: ignore[method-assign]
    task.log_dict = lambda parts: [task.log(*one) for one in parts.items()]  # type: ignore
    for _ in range(15):
        loss = task.training_step(batch, 0)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert logged.pop("pos_weight") == [3.0] * 15
    parts = ["cells", "has_mask", "mask", "mask/bce", "mask/iou_batch", "mask/iou_tile"]
    assert sorted(logged) == ["loss", *(f"loss/{part}" for part in parts)]
    for name in ("loss", "loss/cells", "loss/has_mask", "loss/mask"):
        assert logged[name][-1] < 0.9 * logged[name][0], name


def test_a_net_with_skips_starts_pretrained_and_learns_in_every_layer() -> None:
    pytest.importorskip(imagenet.PACKAGE)
    config = tiny_config().model_copy(update={"network": LiteOptions()})
    task = SegmentationTask(config)
    expected = build(LiteOptions())
    pretrain(expected, LiteOptions())
    assert torch.equal(task.net.encoder.stem.conv.weight, expected.encoder.stem.conv.weight)
    batch = CropBatches(packed_all(), config, 0)[0]
    assert 0 < len(batch.lesion) < len(batch.tiles)
    task.log = task.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    task.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
    assert all(one.grad is not None and one.grad.any() for one in task.net.parameters())


def test_the_rate_warms_up_and_falls() -> None:
    config = tiny_config().model_copy(update={"steps_per_epoch": 100, "warm_up": 0.1})
    rate = SegmentationTask(config)._rate
    assert rate(0) < 0.1
    assert rate(20) == pytest.approx(1.0, abs=0.01)
    assert rate(110) == pytest.approx(0.505, abs=0.01)
    assert rate(200) == rate(500) == pytest.approx(0.01)


def test_the_merit_is_the_mean_of_what_is_known() -> None:
    figures = {"cdd-cesm/dice": 0.4, "rsna-640/auc": 0.6, "rsna-640/mean_score": 0.9}
    assert merit(figures) == pytest.approx(0.5)
    assert merit({}) == 0.0
