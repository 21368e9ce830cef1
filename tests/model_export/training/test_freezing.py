import pytest
import torch
from torch import nn

from model_export.training.freezing import freeze, hold_frozen_norms

pytestmark = pytest.mark.unit


def two_blocks() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.BatchNorm2d(2),
        nn.Conv2d(2, 2, 1),
        nn.BatchNorm2d(2),
        nn.BatchNorm2d(2, affine=False),
    )


def test_what_the_pattern_does_not_match_is_frozen() -> None:
    net = two_blocks()
    freeze(net, r"^[23]\.")
    trained = [name for name, one in net.named_parameters() if one.requires_grad]
    assert trained == ["2.weight", "2.bias", "3.weight", "3.bias"]
    freeze(net, "")
    assert all(one.requires_grad for one in net.parameters())


def test_norms_with_frozen_weights_keep_their_statistics() -> None:
    net = two_blocks()
    freeze(net, r"^([023]\.|1\.bias)")
    net.train()
    hold_frozen_norms(net)
    assert [module.training for module in net] == [True, False, True, True, True]
    net(torch.randn(2, 1, 8, 8))
    assert net[1].num_batches_tracked == 0
    assert net[3].num_batches_tracked == net[4].num_batches_tracked == 1


def test_a_pattern_must_be_one_and_match() -> None:
    with pytest.raises(ValueError, match="matches no parameter: decoder"):
        freeze(two_blocks(), "decoder")
    with pytest.raises(ValueError, match="no regular expression"):
        freeze(two_blocks(), "(")
