import numpy as np
import pytest
import torch
from torch import nn

from model_export.networks import SegmentationNet
from model_export.training.validation import can_choose, validate
from tests.model_export.samples import packed_all

pytestmark = pytest.mark.unit


class Bright(SegmentationNet):
    """Takes for lesion what is bright; its score is the mean of the image."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.encoder = Alone()
        self.decoder = Affine()
        self.head = Mean()  # type: ignore[assignment]


class Alone(nn.Module):
    def forward(self, tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (tiles,)


class Affine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(1.0))

    def forward(self, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return (features[-1] - self.level) * 40.0


class Mean(nn.Module):
    sees_mask = False

    def forward(self, value: torch.Tensor, _: object) -> tuple[torch.Tensor, torch.Tensor]:
        return value, value.mean(dim=(2, 3))


def test_every_source_gets_the_figures_that_its_labels_allow() -> None:
    figures = validate(Bright().eval(), packed_all(), 1.25, "32-true")
    assert figures["cdd-cesm/dice"] == pytest.approx(1.0)
    assert 0.0 < figures["cdd-cesm/dice_brightest"] < 0.9
    assert figures["mini-mias/sensitivity_at_1"] == 1.0
    assert figures["mini-mias/auc"] == figures["rsna-640/auc"] == 1.0
    assert "cdd-cesm/auc" not in figures
    assert "rsna-640/dice" not in figures
    assert all(np.isfinite(value) for value in figures.values())


def test_a_checkpoint_is_chosen_by_outlines_or_by_images_of_both_kinds() -> None:
    drawn, _, found, normal, cancer, free = packed_all()
    assert can_choose([drawn]) and can_choose([found, normal]) and can_choose([cancer, free])
    assert not any(can_choose(samples) for samples in ([], [normal], [cancer], [normal, cancer]))
