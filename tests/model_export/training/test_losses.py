import math

import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor
from torchmetrics.functional.classification import binary_jaccard_index
from torchmetrics.functional.segmentation import dice_score

from model_export.config import MaskTerms
from model_export.training import losses
from model_export.training.losses import Known

pytestmark = pytest.mark.unit

LOG_3 = math.log(3.0)
"""The logit of probability 3/4."""


def worked_example() -> tuple[Tensor, Tensor]:
    """Two tiles of 1 x 2: probabilities (3/4, 1/2) and (1/4, 1/2), lesion (1, 0) and (0, 0)."""
    logits = torch.tensor([[[[LOG_3, 0.0]]], [[[-LOG_3, 0.0]]]], dtype=torch.float64)
    target = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]], dtype=torch.float64)
    return logits, target


ONES = torch.ones(2, dtype=torch.float64)


def known_example() -> tuple[Tensor, Known]:
    """Return the example as the terms take it."""
    logits, target = worked_example()
    return logits, Known.whole(target, ONES)


def test_iou_over_the_batch_by_hand() -> None:
    # Intersection 3/4; union 1 + 1/2 + 1/4 + 1/2 = 9/4; one pixel is added to each.
    loss = losses.iou_batch(*known_example())
    assert float(loss) == pytest.approx(1 - (0.75 + 1) / (2.25 + 1))


def test_iou_of_tiles_counts_only_those_with_lesion() -> None:
    # First tile: 3/4 over 1 + 1/2.
    loss = losses.iou_tile(*known_example())
    assert float(loss) == pytest.approx(1 - (0.75 + 1) / (1.5 + 1))


def test_weighted_bce_by_hand() -> None:
    loss = losses.weighted_bce(*known_example(), pos_weight=3.0)
    first = (3 * -math.log(3 / 4) + -math.log(1 / 2)) / 2
    second = (-math.log(3 / 4) + -math.log(1 / 2)) / 2
    assert float(loss) == pytest.approx((first + second) / 2)


def test_dice_by_hand() -> None:
    # Twice 3/4 over 1 + (3/4 + 1/2 + 1/4 + 1/2); one pixel is added to each.
    loss = losses.dice(*known_example())
    assert float(loss) == pytest.approx(1 - (2 * 0.75 + 1) / (3.0 + 1))


ALL = MaskTerms(bce=0.5, iou_batch=2.0, iou_tile=3.0, dice=4.0)


def test_the_sum_is_the_weighted_sum() -> None:
    logits, target = worked_example()
    parts = {
        "bce": losses.weighted_bce(logits, Known.whole(target, ONES), 3.0),
        "iou_batch": losses.iou_batch(logits, Known.whole(target, ONES)),
        "iou_tile": losses.iou_tile(logits, Known.whole(target, ONES)),
        "dice": losses.dice(logits, Known.whole(target, ONES)),
    }
    loss = losses.segmentation(logits, Known.whole(target, ONES), ALL, 3.0)
    assert {name: float(term) for name, term in loss.terms.items()} == {
        name: float(part) for name, part in parts.items()
    }
    expected = (
        0.5 * parts["bce"]
        + 2.0 * parts["iou_batch"]
        + 3.0 * parts["iou_tile"]
        + 4.0 * parts["dice"]
    )
    torch.testing.assert_close(loss.total, expected)


def test_a_term_of_weight_zero_is_left_out() -> None:
    logits, target = worked_example()
    terms = MaskTerms(bce=0.0, iou_batch=2.0, iou_tile=0.0)
    loss = losses.segmentation(logits, Known.whole(target, ONES), terms, 3.0)
    assert list(loss.terms) == ["iou_batch"]
    torch.testing.assert_close(
        loss.total, 2.0 * losses.iou_batch(logits, Known.whole(target, ONES))
    )


@pytest.mark.parametrize("ignored", [0, 1])
def test_a_tile_of_weight_zero_changes_nothing(ignored: int) -> None:
    logits, target = worked_example()
    weight = ONES.clone()
    weight[ignored] = 0.0
    changed = logits.clone()
    changed[ignored] += 5.0
    torch.testing.assert_close(
        losses.segmentation(changed, Known.whole(target, weight), ALL, 3.0).total,
        losses.segmentation(logits, Known.whole(target, weight), ALL, 3.0).total,
    )


def test_a_perfect_answer_costs_next_to_nothing() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:5, 3:6] = 1.0
    loss = losses.segmentation((target - 0.5) * 60, Known.whole(target, torch.ones(1)), ALL, 3.0)
    assert float(loss.total) < 1e-4


def test_of_hard_answers_the_terms_are_what_others_call_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, "EPSILON", 0.0)
    generator = torch.Generator().manual_seed(1)
    answer = (torch.rand(3, 1, 16, 16, generator=generator) > 0.5).float()
    target = (torch.rand(3, 1, 16, 16, generator=generator) > 0.7).float()
    logits, ones = (answer - 0.5) * 200, torch.ones(3)
    one_answer, one_target = (each.long().reshape(1, 1, -1, 16) for each in (answer, target))
    known = Known.whole(target, ones)
    torch.testing.assert_close(
        losses.dice(logits, known), 1 - dice_score(one_answer, one_target, num_classes=1).squeeze()
    )
    torch.testing.assert_close(
        losses.iou_batch(logits, known), 1 - binary_jaccard_index(one_answer, one_target)
    )
    each = [binary_jaccard_index(*pair) for pair in zip(answer, target.long(), strict=True)]
    torch.testing.assert_close(losses.iou_tile(logits, known), 1 - torch.stack(each).mean())


def test_weighted_bce_is_a_weighted_log_loss() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    target = (torch.rand(2, 1, 8, 8, generator=generator) > 0.7).double()
    weight = torch.tensor([1.0, 0.25], dtype=torch.float64)
    pixel = weight.view(-1, 1, 1, 1) * (1 + 4 * target)
    known = log_loss(
        target.flatten().numpy(),
        torch.sigmoid(logits).flatten().numpy(),
        sample_weight=pixel.flatten().numpy(),
        normalize=False,
    )
    loss = losses.weighted_bce(logits, Known.whole(target, weight), pos_weight=5.0)
    assert float(loss) == pytest.approx(known / 64 / 1.25)


@pytest.mark.parametrize("term", ["bce", *losses.TERMS])
def test_gradients_are_right(term: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    target = (torch.rand(2, 1, 3, 4, generator=generator) > 0.6).double()
    weight = torch.tensor([1.0, 0.4], dtype=torch.float64)
    alone = MaskTerms(**{"bce": 0.0, "iou_batch": 0.0, "iou_tile": 0.0, term: 2.0})
    assert torch.autograd.gradcheck(
        lambda one: losses.segmentation(one, Known.whole(target, weight), alone, 3.0).total, logits
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


@pytest.mark.parametrize("term", ["bce", *losses.TERMS])
def test_pixels_that_are_not_counted_change_nothing(term: str) -> None:
    logits, target = worked_example()
    counted = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 1.0]]]], dtype=torch.float64)
    changed = logits.clone()
    changed[0, 0, 0, 1] += 3.0
    alone = MaskTerms(**{"bce": 0.0, "iou_batch": 0.0, "iou_tile": 0.0, term: 1.0})
    one, other = (
        losses.segmentation(each, Known(target, counted, ONES), alone, 3.0).total
        for each in (logits, changed)
    )
    torch.testing.assert_close(one, other)


def boxed(filled: Tensor) -> tuple[Tensor, Known]:
    """Return hard answers for a box of 4 x 6 in a tile of 12 x 12."""
    target = torch.zeros(1, 1, 12, 12)
    target[..., 2:6, 3:9] = 1.0
    return (filled - 0.5) * 200, Known.whole(target, torch.ones(1))


def test_a_lesion_that_reaches_all_sides_of_its_box_costs_no_projection() -> None:
    cross = torch.zeros(1, 1, 12, 12)
    cross[..., 2:6, 5] = cross[..., 3, 3:9] = 1.0
    assert float(losses.box_projection(*boxed(cross))) < 1e-6
    cross[..., 3, 3:6] = 0.0  # it no longer reaches the left side
    assert float(losses.box_projection(*boxed(cross))) > 0.05


def test_outside_its_box_a_lesion_costs_and_inside_it_is_to_fill_an_ellipse_s_share() -> None:
    inside = torch.zeros(1, 1, 12, 12)
    inside[..., 2:6, 3:9] = 1.0
    assert float(losses.box_outside(*boxed(inside))) < 1e-6
    assert float(losses.box_inside(*boxed(inside))) == pytest.approx((1 - losses.FILLED) ** 2)
    outside = inside.clone()
    outside[..., 8:10, 3:9] = 1.0
    assert float(losses.box_outside(*boxed(outside))) > 1.0
