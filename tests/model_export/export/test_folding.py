import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from model_export.export.folding import as_convolution, fold
from model_export.networks import NetworkOptions, SmallOptions
from model_export.networks.lite import BlurredConv2d
from tests.model_export.lived_in import KINDS, LARGE, SWITCHED, lived_in, name
from tests.thinned import thinned

pytestmark = pytest.mark.unit

UNFOLDED = (nn.BatchNorm2d, nn.ConvTranspose2d, BlurredConv2d)


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (2, 2), (3, 1)])
def test_a_transposed_convolution_is_a_convolution(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    padding = (kernel - stride + 1) // 2
    layer = nn.ConvTranspose2d(5, 3, kernel, stride=stride, padding=padding).double()
    value = torch.randn(2, 5, 7, 6, dtype=torch.float64)
    folded = nn.Sequential(*as_convolution(layer)).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(value), layer(value), rtol=0, atol=1e-12)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot fold"):
        as_convolution(nn.ConvTranspose2d(2, 2, 8, stride=4))


@pytest.mark.slow
@pytest.mark.parametrize("options", thinned([*KINDS, *SWITCHED, *LARGE], 4, 1), ids=name)
def test_a_folded_net_is_the_same_function(options: NetworkOptions) -> None:
    net = lived_in(options).double()
    folded = fold(net)
    assert not [one for one in folded.modules() if isinstance(one, UNFOLDED)]
    assert not any(parametrize.is_parametrized(one) for one in folded.modules())
    tiles = torch.rand(2, 1, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        for before, after in zip(net(tiles), folded(tiles), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weight_norm", [False, True])
def test_the_net_itself_is_left_alone(weight_norm: bool) -> None:
    net = lived_in(SmallOptions(weight_norm=weight_norm))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fold(net)
    with torch.no_grad():
        net(torch.zeros(1, 1, 64, 64))
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
