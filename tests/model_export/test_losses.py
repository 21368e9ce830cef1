import math

import pytest
import torch
from torch import Tensor

from model_export import losses

pytestmark = pytest.mark.unit

LOG_3 = math.log(3.0)
"""The logit of probability 3/4."""


def worked_example() -> tuple[Tensor, Tensor]:
    """Two tiles of 1 x 2: probabilities (3/4, 1/2) and (1/4, 1/2), lesion (1, 0) and (0, 0)."""
    logits = torch.tensor([[[[LOG_3, 0.0]]], [[[-LOG_3, 0.0]]]], dtype=torch.float64)
    target = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]], dtype=torch.float64)
    return logits, target


ONES = torch.ones(2, dtype=torch.float64)


def test_iou_over_the_batch_by_hand() -> None:
    # Intersection 3/4; union 1 + 1/2 + 1/4 + 1/2 = 9/4; one pixel is added to each.
    loss = losses.iou_batch(*worked_example(), ONES)
    assert float(loss) == pytest.approx(1 - (0.75 + 1) / (2.25 + 1))


def test_iou_of_tiles_counts_only_those_with_lesion() -> None:
    # First tile: 3/4 over 1 + 1/2.
    loss = losses.iou_tile(*worked_example(), ONES)
    assert float(loss) == pytest.approx(1 - (0.75 + 1) / (1.5 + 1))


def test_weighted_bce_by_hand() -> None:
    loss = losses.weighted_bce(*worked_example(), ONES, pos_weight=3.0)
    first = (3 * -math.log(3 / 4) + -math.log(1 / 2)) / 2
    second = (-math.log(3 / 4) + -math.log(1 / 2)) / 2
    assert float(loss) == pytest.approx((first + second) / 2)


def test_the_sum_is_the_sum() -> None:
    logits, target = worked_example()
    parts = (
        losses.iou_batch(logits, target, ONES)
        + losses.iou_tile(logits, target, ONES)
        + losses.weighted_bce(logits, target, ONES, 3.0)
    )
    torch.testing.assert_close(losses.segmentation(logits, target, ONES, 3.0), parts)


@pytest.mark.parametrize("ignored", [0, 1])
def test_a_tile_of_weight_zero_changes_nothing(ignored: int) -> None:
    logits, target = worked_example()
    weight = ONES.clone()
    weight[ignored] = 0.0
    changed = logits.clone()
    changed[ignored] += 5.0
    torch.testing.assert_close(
        losses.segmentation(changed, target, weight, 3.0),
        losses.segmentation(logits, target, weight, 3.0),
    )


def test_a_perfect_answer_costs_next_to_nothing() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:5, 3:6] = 1.0
    assert float(losses.segmentation((target - 0.5) * 60, target, torch.ones(1), 3.0)) < 1e-4


def test_gradients_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    target = (torch.rand(2, 1, 3, 4, generator=generator) > 0.6).double()
    weight = torch.tensor([1.0, 0.4], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda one: losses.segmentation(one, target, weight, 3.0), logits
    )


def test_has_mask_by_hand() -> None:
    logits = torch.tensor([[LOG_3], [0.0]])
    loss = losses.has_mask(logits, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.5]))
    assert float(loss) == pytest.approx((-math.log(3 / 4) + 0.5 * math.log(2)) / 1.5)


def test_cells_leave_out_what_is_neither_lesion_nor_free() -> None:
    target = torch.zeros(1, 1, 32, 96)
    target[..., :16, :32] = 1.0  # half of the first cell: positive
    target[..., :4, 32:64] = 1.0  # an eighth of the second: left out
    activation = torch.tensor([[[[LOG_3, 17.0, -LOG_3]]]])
    loss = losses.cells(activation, target, torch.ones(1), pos_weight=2.0)
    assert float(loss) == pytest.approx((2 * -math.log(3 / 4) - math.log(3 / 4)) / 2)


def test_the_fullest_cell_of_a_tiny_lesion_is_positive() -> None:
    target = torch.zeros(1, 1, 32, 64)
    target[..., :2, :2] = 1.0
    found, missed = torch.tensor([[[[9.0, -9.0]]]]), torch.tensor([[[[-9.0, -9.0]]]])
    assert float(losses.cells(found, target, torch.ones(1), 1.0)) < 1e-3
    assert float(losses.cells(missed, target, torch.ones(1), 1.0)) > 4.0
