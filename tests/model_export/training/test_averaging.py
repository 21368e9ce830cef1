import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from model_export.training.averaging import Averaging

pytestmark = pytest.mark.unit


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(net, use_buffers=True, **Averaging(decay)._kwargs)


def test_the_decay_grows_to_its_limit() -> None:
    net = nn.Linear(1, 1, bias=False)
    model = averaged(net, decay=0.3)
    expected = None
    for count in range(5):
        nn.init.constant_(net.weight, float(count * count))
        model.update_parameters(net)
        # The first average is the weight itself.
        decay = min(0.3, (1 + count) / (10 + count))
        previous = count * count if expected is None else expected
        expected = decay * previous + (1 - decay) * count * count
        assert model.module.get_parameter("weight").item() == pytest.approx(expected)


def test_what_does_not_change_keeps_every_bit_and_counters_are_copied() -> None:
    torch.manual_seed(0)
    linear, norm = nn.Linear(64, 64), nn.BatchNorm1d(64)
    net = nn.Sequential(linear, norm)
    norm.running_var.uniform_(0.1, 3.0)
    model = averaged(net, decay=0.997)
    frozen = linear.weight.clone(), norm.running_var.clone()
    for count in range(7):
        norm.num_batches_tracked.fill_(count * 10)
        model.update_parameters(net)
    assert torch.equal(model.module.get_parameter("0.weight"), frozen[0])
    assert torch.equal(model.module.get_buffer("1.running_var"), frozen[1])
    assert model.module.get_buffer("1.num_batches_tracked") == 60
