import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from model_export.networks import (
    LiteOptions,
    NetworkOptions,
    SeedOptions,
    SegmentationNet,
    SmallOptions,
    UnetOptions,
    build,
)
from model_export.networks.heads import CELL, SPOT, TOP_CELLS, HasMaskHead, pool, surest
from model_export.networks.lite import BlurredConv2d, SameConv2d
from tests.model_export.lived_in import KINDS, LARGE, SWITCHED, name
from tests.thinned import thinned

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", params=[*KINDS, *SWITCHED, *LARGE], ids=name)
def net(request: pytest.FixtureRequest) -> SegmentationNet:
    return build(request.param).eval()


def test_seed_reaches_20x20x512_from_640() -> None:
    with torch.no_grad():
        (features,) = build(SeedOptions()).eval().encode(torch.zeros(1, 1, 640, 640))
    assert features.shape == (1, 512, 20, 20)


def test_lite_gives_its_skips_finest_first() -> None:
    with torch.no_grad():
        features = build(LiteOptions()).eval().encode(torch.zeros(1, 1, 96, 64))
    shapes = [tuple(one.shape[1:]) for one in features]
    assert shapes == [(24, 24, 16), (40, 12, 8), (112, 6, 4), (192, 3, 2)]


@pytest.mark.parametrize("shape", thinned([(96, 160), (64, 64), (352, 64)], 3))
def test_any_multiple_of_32_runs(net: SegmentationNet, shape: tuple[int, int]) -> None:
    rows, columns = shape
    with torch.no_grad():
        maps = net(torch.zeros(2, 1, rows, columns))
    assert maps.logits.shape == (2, 1, rows, columns)
    assert maps.activation.shape == (2, 1, rows // 32, columns // 32)
    assert maps.has_mask.shape == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("options", thinned([*KINDS, *SWITCHED, *LARGE], 4, 3), ids=name)
def test_every_layer_can_be_taught(options: NetworkOptions) -> None:
    net = build(options).train()
    torch.manual_seed(0)
    maps = net(torch.rand(2, 1, 128, 128))
    (maps.logits.square().mean() + maps.has_mask.square().mean()).backward()
    for layer, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), layer


@pytest.mark.parametrize(
    ("options", "parameters", "gigaflop"),
    [
        (SeedOptions(), 12.5e6, 43.3),
        (SmallOptions(), 2.46e6, 6.6),
        (LiteOptions(), 2.47e6, 6.35),
        (LiteOptions(encoder="lite1"), 3.23e6, 8.26),
        (UnetOptions(), 2.75e6, 37.8),
    ],
)
def test_size_and_cost_are_the_designed_ones(
    options: NetworkOptions, parameters: float, gigaflop: float
) -> None:
    net = build(options).eval()
    assert sum(one.numel() for one in net.parameters()) == pytest.approx(parameters, rel=0.01)
    # Cost grows with the area: 128 px stand for 640.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 1, 128, 128))
    assert counter.get_total_flops() * 25 == pytest.approx(gigaflop * 1e9, rel=0.01)


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_blurred_convolution_is_a_blur_and_the_plain_one(kernel: int) -> None:
    torch.manual_seed(0)
    plain, blurred = SameConv2d(4, 4, kernel, 4), BlurredConv2d(4, 4, kernel, 4)
    blurred.load_state_dict(plain.state_dict())
    value = torch.rand(2, 4, 24, 16)
    each = torch.tensor([[1.0, 2.0, 1.0]]) / 4
    kernels = (each * each.T).expand(4, 1, 3, 3)
    before = functional.conv2d(value, kernels, padding=1, groups=4)
    with torch.no_grad():
        # Along the border, the blur's own answer beyond it is no zero.
        inside = (..., slice(2, -2), slice(2, -2))
        torch.testing.assert_close(blurred(value)[inside], plain(before)[inside])
        torch.testing.assert_close(blurred.as_plain()(value), blurred(value))


def test_nothing_finer_than_the_grid_gets_through_a_blurred_convolution() -> None:
    stripes = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)
    torch.manual_seed(0)
    plain, blurred = SameConv2d(1, 1, 3, 1), BlurredConv2d(1, 1, 3, 1)
    inside = (..., slice(2, -2), slice(2, -2))
    with torch.no_grad():
        apart = [
            float((layer(stripes) - layer(1 - stripes))[inside].abs().max())
            for layer in (plain, blurred)
        ]
    assert apart[0] > 0.1 and apart[1] < 1e-6


def test_the_logit_is_the_mean_of_the_top_cells() -> None:
    activation = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert TOP_CELLS == 4
    assert pool(activation).tolist() == [[(8 + 9 + 10 + 11) / 4]]


def test_a_cell_is_as_sure_as_its_surest_spot() -> None:
    logits = torch.full((1, 1, CELL, 2 * CELL), -4.0)
    logits[0, 0, SPOT : 2 * SPOT, CELL : CELL + SPOT] = 3.0
    logits[0, 0, 0, 0] = 60.0  # one pixel alone makes no spot: (60 - 63 * 4) / 64 = -3
    assert surest(logits).flatten().tolist() == [-3.0, 3.0]


def test_a_yes_about_the_image_teaches_the_decoder_where_the_head_sees_the_mask() -> None:
    logits = torch.zeros(1, 1, 3 * CELL, 3 * CELL, requires_grad=True)
    head = HasMaskHead(5, sees_mask=True)
    head.initialise()
    head(torch.zeros(1, 5, 3, 3), logits)[1].backward()
    assert logits.grad is not None and float(logits.grad.sum()) > 0


def test_the_has_mask_logit_is_its_own_activation_pooled(net: SegmentationNet) -> None:
    with torch.no_grad():
        maps = net(torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(pool(maps.activation), maps.has_mask)
