"""Training some layers only: what is frozen keeps every bit, running statistics included."""

import re

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(net: nn.Module, train_only: str) -> None:
    """Freeze the parameters whose names the pattern does not match.

    Parameters
    ----------
    train_only
        Regular expression, searched for in names such as `encoder.blocks.3.expand.conv.weight`.

    Raises
    ------
    ValueError
        It matches no parameter, or is no regular expression.
    """
    try:
        pattern = re.compile(train_only)
    except re.error as error:
        raise ValueError(f"train_only is no regular expression: {error}") from error
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(pattern.search(name) is not None)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(f"train_only matches no parameter: {train_only}")


def hold_frozen_norms(net: nn.Module) -> None:
    """Put every batch norm whose own weight is frozen into evaluation mode.

    In training mode its running statistics would move with every batch, frozen or not.
    """
    for module in net.modules():
        if not isinstance(module, _BatchNorm) or module.weight is None:
            continue
        if not module.weight.requires_grad:
            module.eval()
