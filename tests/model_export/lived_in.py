"""Nets whose batch norms have seen something: at their initial values folding would be trivial."""

import torch
from torch import nn

from model_export.networks import (
    LiteOptions,
    NetworkOptions,
    SeedOptions,
    SegmentationNet,
    SmallOptions,
    UnetOptions,
    build,
)

KINDS: tuple[NetworkOptions, ...] = (
    LiteOptions(),
    SmallOptions(),
    SeedOptions(),
    UnetOptions(),
)
"""Every kind of net, as it is by default."""

SWITCHED: tuple[NetworkOptions, ...] = (
    LiteOptions(head_sees_mask=True),
    LiteOptions(skips="none"),
    LiteOptions(skips="gated"),
    LiteOptions(blurred=True),
    SmallOptions(skips="plain"),
    SmallOptions(skips="gated", upsampling="transposed"),
    SmallOptions(last_stage="pooled"),
    SmallOptions(block="residual"),
    SmallOptions(block="inception"),
    SmallOptions(rotation_max=True),
    SmallOptions(weight_norm=True),
    SmallOptions(rotation_max=True, weight_norm=True, last_stage="pooled"),
)
"""Every option away from its default, but for what makes a net too large for a file of its own."""

LARGE: tuple[NetworkOptions, ...] = (LiteOptions(encoder="lite1"),)
"""In single precision over the limit of a file; `combine` stores weights in half."""


def name(options: NetworkOptions) -> str:
    """Return what a test's name says of options: the kind, and what is not as by default."""
    changed = options.model_dump(exclude_defaults=True)
    return " ".join([options.kind, *(f"{key}={value}" for key, value in changed.items())])


def lived_in(options: NetworkOptions) -> SegmentationNet:
    """Return a net in evaluation mode with random weights and random running statistics."""
    torch.manual_seed(3)
    net = build(options)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return net.eval()
