from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.config import Distillation, TrainingConfig
from model_export.networks import SmallOptions
from model_export.networks.segmenter import Maps
from model_export.sampling.batches import CropBatches
from model_export.training.distillation import Answer, Teacher, distillation
from model_export.training.task import SegmentationTask
from tests.model_export.samples import packed_all
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    """A run whose teacher has random weights of its own."""
    torch.manual_seed(8)
    weights = SegmentationTask(tiny_config()).state_dict()
    torch.save({"state_dict": weights}, tmp_path / "teacher.ckpt")
    taught = Distillation(teacher=tmp_path / "teacher.ckpt")
    return tiny_config().model_copy(update={"distillation": taught})


def _teacher(config: TrainingConfig) -> Teacher:
    assert config.distillation is not None
    return Teacher(config.network, config.distillation.teacher)


def test_a_teacher_says_of_a_mirror_image_what_it_says_of_the_image(config: TrainingConfig) -> None:
    teacher = _teacher(config)
    crops = torch.rand(2, 1, 64, 96)
    straight, turned = teacher(crops), teacher(torch.flip(crops, (3,)))
    torch.testing.assert_close(torch.flip(turned.probability, (3,)), straight.probability)
    torch.testing.assert_close(torch.flip(turned.activation, (3,)), straight.activation)
    torch.testing.assert_close(turned.has_mask, straight.has_mask)
    assert not straight.probability.requires_grad


def test_a_teacher_that_sees_crops_moved_says_it_of_the_same_pixels(tmp_path: Path) -> None:
    torch.manual_seed(8)
    network = tiny_config().network
    task = SegmentationTask(tiny_config())
    torch.save({"state_dict": task.state_dict()}, tmp_path / "teacher.ckpt")
    still, moving = (
        Teacher(network, tmp_path / "teacher.ckpt", moved=moved) for moved in (False, True)
    )
    crops = torch.zeros(1, 1, 192, 192)
    crops[:, :, 80:112, 70:100] = 1.0
    alone, seen = still(crops), moving(crops)
    assert seen.probability.shape == alone.probability.shape
    torch.testing.assert_close(seen.activation, alone.activation)
    assert not torch.equal(seen.probability, alone.probability)
    assert not torch.equal(seen.has_mask, alone.has_mask)
    # In its place: no shift of the answer fits the still one better.
    fits = [
        float((seen.probability.roll(step, (2, 3)) - alone.probability).abs().mean())
        for step in ((0, 0), (8, 0), (-8, 0), (0, 8), (0, -8))
    ]
    assert min(fits) == fits[0]


def test_nothing_is_left_to_learn_of_ones_own_answer() -> None:
    logits = torch.randn(2, 1, 64, 64, requires_grad=True)
    activation = torch.randn(2, 1, 2, 2, requires_grad=True)
    has_mask = torch.randn(2, 1, requires_grad=True)
    own = Answer(*(torch.sigmoid(one.detach()) for one in (logits, activation, has_mask)))
    weights = Distillation(teacher=Path("unread"), mask=2.0, cells=3.0, has_mask=4.0)
    terms = distillation(Maps(logits, activation, has_mask), own, weights)
    torch.stack(list(terms.values())).sum().backward()
    for value in (logits, activation, has_mask):
        assert value.grad is not None and float(value.grad.abs().max()) < 1e-6
    other = Answer(*(1.0 - one for one in own))
    worse = distillation(Maps(logits, activation, has_mask), other, weights)
    assert all(worse[name] > terms[name] for name in terms)
    without = Distillation(teacher=Path("unread"), mask=0.0, cells=0.0, has_mask=0.0)
    assert not any(distillation(Maps(logits, activation, has_mask), other, without).values())


def test_the_teacher_sees_crops_as_the_service_gives_them(config: TrainingConfig) -> None:
    batch = CropBatches(packed_all(), config, 0)[0]
    assert batch.unchanged.shape == batch.tiles.shape
    grey = batch.unchanged.numpy() * 255.0 / config.normalisation.maximum
    np.testing.assert_allclose(grey, np.round(grey), atol=1e-3)
    assert not torch.equal(batch.unchanged, batch.tiles)
    # The crops themselves are those of a run without a teacher.
    without = config.model_copy(update={"distillation": None})
    alone = CropBatches(packed_all(), without, 0)[0]
    torch.testing.assert_close(alone.tiles, batch.tiles, rtol=0, atol=0)
    assert len(alone.unchanged) == 0


@pytest.mark.long
def test_a_run_comes_nearer_to_its_teacher_and_does_not_keep_it(config: TrainingConfig) -> None:
    assert config.distillation is not None
    above_all = config.distillation.model_copy(update={"mask": 20.0})
    task = SegmentationTask(config.model_copy(update={"distillation": above_all}))
    assert not [name for name in task.state_dict() if "teacher" in name]
    batch = CropBatches(packed_all(), config, 0)[0]
    optimiser = torch.optim.AdamW(task.parameters(), lr=3e-3)
    task.log = lambda *_, **__: None  # type: ignore[method-assign]
    task.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    answer = _teacher(config)(batch.unchanged)
    apart = []
    for _ in range(15):
        loss = task.training_step(batch, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            own = torch.sigmoid(task.net(batch.tiles).logits)
        apart.append(float((own - answer.probability).abs().mean()))
    assert apart[-1] < 0.8 * apart[0]


def test_a_teacher_of_another_net_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"net.other": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="another net"):
        Teacher(tiny_config().network, tmp_path / "other.ckpt")


def test_a_teacher_may_be_of_another_kind_than_the_run(tmp_path: Path) -> None:
    other = tiny_config().model_copy(update={"network": SmallOptions(skips="plain")})
    torch.save({"state_dict": SegmentationTask(other).state_dict()}, tmp_path / "other.ckpt")
    taught = Distillation(teacher=tmp_path / "other.ckpt", network=other.network)
    with pytest.raises(ValueError, match="another net"):
        SegmentationTask(
            tiny_config().model_copy(
                update={"distillation": taught.model_copy(update={"network": None})}
            )
        )
    SegmentationTask(tiny_config().model_copy(update={"distillation": taught}))
