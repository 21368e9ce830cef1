import pytest
import torch
from torch import nn

from model_export.folding import as_convolution, fold
from model_export.networks import NetworkOptions, SmallOptions
from tests.model_export.lived_in import KINDS, lived_in

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 1)])
def test_a_transposed_convolution_is_a_convolution(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(5, 3, kernel, stride=stride, padding=1).double()
    value = torch.randn(2, 5, 7, 6, dtype=torch.float64)
    folded = nn.Sequential(*as_convolution(layer)).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(value), layer(value), rtol=0, atol=1e-12)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot fold"):
        as_convolution(nn.ConvTranspose2d(2, 2, 2, stride=2))


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_folded_net_is_the_same_function(options: NetworkOptions) -> None:
    net = lived_in(options).double()
    folded = fold(net)
    left = [type(one) for one in folded.modules()]
    assert nn.BatchNorm2d not in left
    assert nn.ConvTranspose2d not in left
    tiles = torch.rand(2, 1, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        for before, after in zip(net(tiles), folded(tiles), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)


def test_the_net_itself_is_left_alone() -> None:
    net = lived_in(SmallOptions())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fold(net)
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
