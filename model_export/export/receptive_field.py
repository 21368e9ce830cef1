"""How far an output of a net can see."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_export.export.layers import has_form
from model_export.export.tracing import Walk
from model_export.networks import SegmentationNet
from model_export.networks.heads import HasMaskHead
from model_export.networks.lite import BlurredConv2d, SameConv2d
from model_export.networks.rotation import RotationMax
from model_export.networks.staged import CropTo

ROWS, COLUMNS = 2048, 64
"""Of the probe: longer than any net sees, and as narrow as a net allows."""

PERIOD = 64
"""Outputs so many pixels apart see equally far."""


def receptive_field(net: SegmentationNet) -> int:
    """Return the side, in pixels, of the input that one pixel of the map can depend on.

    Counted, not computed: in a net of the same kernels with one channel, equal weights, pooling
    by mean and no activations, the gradient of an output is positive exactly where the input
    matters. The largest of `PERIOD` neighbouring outputs counts.

    Parameters
    ----------
    net
        Not folded: a folded transposed convolution is wider, by weights that are zero.
    """
    tile = torch.ones(1, 1, ROWS, COLUMNS, dtype=torch.float64, requires_grad=True)
    logits = _Probe(net).run(tile).logits
    widest = 0
    for row in range(ROWS // 2, ROWS // 2 + PERIOD):
        (gradient,) = torch.autograd.grad(logits[0, 0, row, 0], tile, retain_graph=True)
        touched = torch.nonzero(gradient[0, 0].amax(dim=1))
        widest = max(widest, int(touched[-1] - touched[0]) + 1)
    return widest


class _Probe(Walk):
    """Runs a net on one channel: each value becomes a mean, or a sum, of what it depends on."""

    def __init__(self, net: SegmentationNet) -> None:
        super().__init__(net, has_form)

    def layer(self, layer: nn.Module, *values: Any) -> Any:
        value, *others = values
        match layer:
            case BlurredConv2d():
                return _convolve(layer.as_plain(), value)
            case nn.Conv2d() | nn.ConvTranspose2d():
                return _convolve(layer, value)
            case RotationMax():
                return _convolve(layer.conv, value)
            case nn.MaxPool2d():
                shape = (layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
                return functional.avg_pool2d(value, *shape)
            case nn.Upsample() | CropTo():
                return layer(*values)
            case HasMaskHead():
                return value, value
        return sum(others, start=value)

    def function(self, function: Callable[..., Any], *values: Any) -> Any:
        tensors = [one for one in values if isinstance(one, Tensor)]
        return sum(tensors[1:], start=tensors[0])


def _convolve(layer: nn.Conv2d | nn.ConvTranspose2d, value: Tensor) -> Tensor:
    rows, columns = layer.kernel_size
    weight = value.new_full((1, 1, rows, columns), 1.0 / (rows * columns))
    assert isinstance(layer.padding, tuple)
    if isinstance(layer, nn.ConvTranspose2d):
        return functional.conv_transpose2d(value, weight, None, layer.stride, layer.padding)
    if isinstance(layer, SameConv2d):
        value = functional.pad(value, layer.around * 2)
    return functional.conv2d(value, weight, None, layer.stride, layer.padding, layer.dilation)
