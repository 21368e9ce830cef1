import sys

import pytest
import torch

from model_export.networks import LiteOptions, SmallOptions, build, imagenet, pretrain

pytestmark = pytest.mark.unit

SEEN = {
    24: [1.0974, 5.3086, -2.7593, -1.1773, -0.8934, -26.6592],
    40: [3.5145, 1.8667, 2.5121, -12.3542, 17.6332, -12.3154],
    112: [9.0803, 7.0036, -3.3966, -4.0948, 11.6876, 11.1551],
    192: [2.0526, -12.7364, -1.2425, 3.6651, -18.5984, 4.1821],
}
"""What the PyPI package efficientnet_lite_pytorch 0.1.0 makes of the pattern below, in all three
of its colours, after blocks 2, 4, 10 and 14: channels 0, 7 and the last, amid the map and in its
upper right corner."""


def test_the_features_are_those_of_the_reference() -> None:
    pytest.importorskip(imagenet.PACKAGE)
    rows = torch.arange(224.0)
    waves = torch.sin(rows[:, None] * 0.13) * torch.cos(rows[None] * 0.07)
    net = build(LiteOptions()).eval()
    pretrain(net, LiteOptions())
    with torch.no_grad():
        features = net.encode((0.5 + 0.5 * waves)[None, None])
    for value, seen in zip(features, SEEN.values(), strict=True):
        middle = value.shape[2] // 2
        picked = [value[0, channel, middle, middle] for channel in (0, 7, -1)]
        picked += [value[0, channel, 0, -1] for channel in (0, 7, -1)]
        assert torch.stack(picked).tolist() == pytest.approx(seen, abs=2e-3)
    assert [value.shape[1] for value in features] == list(SEEN)


def test_without_the_package_nets_are_built_but_not_pretrained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, imagenet.PACKAGE, None)
    net = build(LiteOptions())
    pretrain(net, LiteOptions(pretrained=False))
    with pytest.raises(imagenet.PretrainedWeightsError, match="extra `train`"):
        pretrain(net, LiteOptions())


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(imagenet.PACKAGE)
    monkeypatch.setattr(imagenet, "SHA256", "0" * 64)
    with pytest.raises(imagenet.PretrainedWeightsError, match="SHA-256"):
        pretrain(build(LiteOptions()), LiteOptions())


def test_the_licence_names_what_a_net_started_from() -> None:
    assert "Apache" in imagenet.notice(LiteOptions())
    assert imagenet.notice(LiteOptions(pretrained=False)) == imagenet.notice(SmallOptions()) == ""


def test_other_nets_start_at_random() -> None:
    net = build(SmallOptions())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    pretrain(net, SmallOptions())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
