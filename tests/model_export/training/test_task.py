from collections import defaultdict

import pytest
import torch

from model_export.networks import LiteOptions
from model_export.sampling.batches import CropBatches
from model_export.training.task import SegmentationTask, merit
from tests.model_export.samples import packed_all
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


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
        loss.backward()
        optimiser.step()
    assert logged.pop("pos_weight") == [3.0] * 15
    parts = ["cells", "has_mask", "mask", "mask/bce", "mask/iou_batch", "mask/iou_tile"]
    assert sorted(logged) == ["loss", *(f"loss/{part}" for part in parts)]
    for name in ("loss", "loss/cells", "loss/has_mask", "loss/mask"):
        assert logged[name][-1] < 0.9 * logged[name][0], name


def test_the_rate_warms_up_and_falls() -> None:
    config = tiny_config().model_copy(update={"steps_per_epoch": 100, "warm_up": 0.1})
    rate = SegmentationTask(config)._rate
    assert rate(0) < 0.1
    assert rate(20) == pytest.approx(1.0, abs=0.01)
    assert rate(110) == pytest.approx(0.505, abs=0.01)
    assert rate(200) == rate(500) == pytest.approx(0.01)


def test_the_optimiser_gets_what_is_trained_the_encoder_at_its_own_rate() -> None:
    update = {
        "network": LiteOptions(pretrained=False),
        "train_only": r"^(?!encoder\.(stem|blocks))|depthwise\.norm|blocks\.14",
        "encoder_rate": 0.25,
        "learning_rate": 0.004,
        "weight_decay": 0.02,
    }
    task = SegmentationTask(tiny_config().model_copy(update=update))
    groups = {one["name"]: one for one in task.configure_optimizers()["optimizer"].param_groups}
    assert list(groups) == ["encoder", "encoder_plain", "rest", "rest_plain"]
    # The rates as they were set, before warm-up.
    rates = {name: (one["initial_lr"], one["weight_decay"]) for name, one in groups.items()}
    assert rates == {
        "encoder": (0.001, 0.02),
        "encoder_plain": (0.001, 0.0),
        "rest": (0.004, 0.02),
        "rest_plain": (0.004, 0.0),
    }
    # Three convolutions of one block; the norms of sixteen... and nothing that is frozen.
    assert len(groups["encoder"]["params"]) == 3
    trained = {id(one) for one in task.net.parameters() if one.requires_grad}
    given = [id(one) for group in groups.values() for one in group["params"]]
    assert len(given) == len(set(given)) and set(given) == trained


def test_in_the_merit_every_source_counts_the_same() -> None:
    figures = {"rsna-640/auc": 0.6, "rsna-640/mean_score": 0.9, "my-own/auc": 0.8}
    figures |= {"cdd-cesm/dice": 0.3, "cdd-cesm/sensitivity_at_1": 0.5}
    figures |= {"cdd-cesm/sensitivity_at_quarter": 0.1}
    assert merit(figures) == pytest.approx((0.6 + 0.8 + (0.3 + 0.5 + 0.1) / 3) / 3)
    assert merit({}) == 0.0
