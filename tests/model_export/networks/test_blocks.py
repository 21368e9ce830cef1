import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from model_export.networks import LiteOptions, SmallOptions, build
from model_export.networks.blocks import transposed
from model_export.networks.decoder import Merge, level
from model_export.networks.pairs import Residual
from model_export.networks.rotation import RotationMax
from model_export.networks.staged import PooledBlock

pytestmark = pytest.mark.unit

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_a_kernel_that_would_draw_a_checkerboard_is_refused() -> None:
    with pytest.raises(ValueError, match="divisible"):
        transposed(4, 4, kernel=3, stride=2)


def test_a_rotating_convolution_turns_with_its_input() -> None:
    layer = RotationMax(3, 5, dilation=2)
    value = noise(2, 3, 8, 8)
    with torch.no_grad():
        turned = layer(torch.rot90(value, 1, (2, 3)))
        expected = torch.rot90(layer(value), 1, (2, 3))
    torch.testing.assert_close(turned, expected)


def test_a_rotating_convolution_is_the_best_of_its_turns() -> None:
    layer = RotationMax(2, 1, dilation=1).eval()
    value = noise(2, 2, 8, 8)
    with torch.no_grad():
        each = [
            functional.conv2d(value, torch.rot90(layer.conv.weight, turn, (2, 3)), padding=1)
            for turn in range(4)
        ]
        best = torch.stack(each).amax(dim=0)
        torch.testing.assert_close(layer(value), best, rtol=1e-4, atol=1e-4)
        layer.train()(value)
    # The batch norm saw the turns one by one, and not their maximum.
    assert isinstance(layer.norm, nn.BatchNorm2d) and layer.norm.running_mean is not None
    assert layer.norm.running_mean.item() == pytest.approx(0.1 * float(torch.stack(each).mean()))


def test_a_shut_gate_hides_the_skip_and_an_open_one_shows_it() -> None:
    plain = Merge(3, 16, gated=False).eval()
    gated = Merge(3, 16, gated=True).eval()
    gated.lateral = plain.lateral
    assert gated.gate is not None and gated.gate.bias is not None
    nn.init.zeros_(gated.gate.weight)
    value, finer = noise(1, 16, 4, 4), noise(1, 3, 4, 4)
    with torch.no_grad():
        for bias, expected in ((-100.0, value), (100.0, plain(value, finer))):
            nn.init.constant_(gated.gate.bias, bias)
            torch.testing.assert_close(gated(value, finer), expected)
    assert not torch.equal(plain(value, finer), value)


@pytest.mark.parametrize("factor", [2, 4])
def test_both_ways_up_give_the_same_size_and_channels(factor: int) -> None:
    for upsampling in ("nearest", "transposed"):
        up = level(8, (6, 5), factor=factor, upsampling=upsampling)
        assert up(noise(1, 8, 3, 4)).shape == (1, 5, 3 * factor, 4 * factor)
        kinds = [type(one) for one in up.modules() if isinstance(one, CONVOLUTIONS)]
        if upsampling == "nearest":
            assert kinds == [nn.Conv2d, nn.Conv2d]
        else:
            assert kinds == [nn.ConvTranspose2d] * (factor // 2) + [nn.Conv2d]


def test_a_residual_block_without_a_body_is_its_input() -> None:
    block = Residual(4, 4).eval()
    for name, parameter in block.named_parameters():
        if name.endswith("conv.weight"):
            nn.init.zeros_(parameter)
    value = noise(1, 4, 5, 5).abs()
    with torch.no_grad():
        torch.testing.assert_close(block(value), value)


def test_half_the_size_is_undone_for_odd_sizes_too() -> None:
    value = torch.arange(15.0).reshape(1, 1, 3, 5)
    halved = PooledBlock(nn.Identity())(value)
    assert halved[0, 0].tolist() == [[6, 6, 8, 8, 9], [6, 6, 8, 8, 9], [11, 11, 13, 13, 14]]


def test_the_length_of_a_normalised_kernel_is_not_that_of_its_direction() -> None:
    net = build(SmallOptions(weight_norm=True)).eval()
    tiles = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        before = net(tiles).logits
        directions = [
            parameter for name, parameter in net.named_parameters() if name.endswith("original1")
        ]
        for direction in directions:
            direction.mul_(2.0)
        torch.testing.assert_close(net(tiles).logits, before)
    # 17 convolutions of the encoder, 5 + 3 + 1 of the decoder, its squeeze.
    assert len(directions) == 21


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (r"^encoder\.stem\.", 3),
        (r"^encoder\.blocks\.3\.(expand|depthwise|project)\.", 9),
        (r"^encoder\..*\.depthwise\.conv\.weight$", 15),
        (r"^encoder\.blocks\.0\.expand\.", 0),
        (r"^decoder\.levels\.\d\.merge\.lateral\.conv\.weight$", 3),
        (r"^head\.", 2),
    ],
)
def test_names_let_a_pattern_pick_layers(pattern: str, count: int) -> None:
    names = [name for name, _ in build(LiteOptions()).named_parameters()]
    assert len([name for name in names if re.search(pattern, name)]) == count
