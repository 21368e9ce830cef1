import pytest
from torch import Tensor, nn

from model_export.export.receptive_field import receptive_field
from model_export.networks import (
    LiteOptions,
    NetworkOptions,
    SeedOptions,
    SegmentationNet,
    SmallOptions,
    UnetOptions,
    build,
)
from model_export.networks.heads import HasMaskHead

pytestmark = pytest.mark.unit


class Alone(nn.Sequential):
    def forward(self, value: Tensor) -> tuple[Tensor]:
        return (super().forward(value),)


class Last(nn.Sequential):
    def forward(self, features: tuple[Tensor]) -> Tensor:
        result: Tensor = super().forward(features[-1])
        return result


def chain(encoder: list[nn.Module], decoder: list[nn.Module]) -> SegmentationNet:
    return SegmentationNet(Alone(*encoder), Last(*decoder), HasMaskHead(2))


def test_a_chain_is_counted() -> None:
    # 3 px, then 3 px 32 apart: 3 + 2 * 32.
    wide = nn.Conv2d(5, 2, 3, padding=32, dilation=32)
    net = chain([nn.Conv2d(1, 5, 3, padding=1), wide], [nn.ReLU(), nn.Conv2d(2, 1, 1)])
    assert receptive_field(net) == 67


def test_a_transposed_convolution_sees_no_more_than_its_kernel_reaches() -> None:
    # Of 4 x 4 at stride 2, an output gets two neighbours, that were 2 px each: 4.
    up = nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1)
    assert receptive_field(chain([nn.MaxPool2d(2), nn.Conv2d(1, 2, 1)], [up])) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "pixels"),
    [
        (LiteOptions(), 851),
        pytest.param(LiteOptions(blurred=True), 913, marks=pytest.mark.long),
        pytest.param(SmallOptions(), 633, marks=pytest.mark.long),
        (SmallOptions(last_stage="pooled", rotation_max=True), 697),
        pytest.param(SeedOptions(), 633, marks=pytest.mark.long),
        pytest.param(UnetOptions(), 412, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_those_of_the_nets(options: NetworkOptions, pixels: int) -> None:
    assert receptive_field(build(options)) == pixels
